/* SPDX-License-Identifier: MIT */
/*
 * sweep.c: a second look at a subject, which shares nothing with the verifier: sweep SUBJECT.so VARIANT
 *
 * Allocates two secrets of each size from 0 to 9000 bytes, and counts, by its own means, at how many
 * sizes something is amiss: refused, not locked (MADV_PAGEOUT takes a page of it), misaligned, holding
 * bytes of an earlier secret, or changed by its neighbour. Prints "name count first last" a line.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "contract/strongroom.h"

#define LARGEST_BYTES ((size_t)9000)
#define BUDGET_BYTES ((size_t)1 << 20)
#define PIECE_BYTES 8
#define SECRET 'S'
#define NEIGHBOUR 'T'

enum amiss { REFUSED, UNLOCKED, MISALIGNED, STALE, CHANGED, KINDS };

static struct {
    const char *name;
    size_t count, first, last;
} counts[KINDS] = {
    {.name = "refused"}, {.name = "unlocked"}, {.name = "misaligned"},
    {.name = "stale"},   {.name = "changed"},
};

static void count(enum amiss kind, size_t size_bytes, bool is_amiss)
{
    if (!is_amiss)
        return;
    if (counts[kind].count++ == 0)
        counts[kind].first = size_bytes;
    counts[kind].last = size_bytes;
}

/* The kernel says EINVAL where it is to page out what is locked. */
static bool is_locked(const void *secret, size_t size_bytes)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t end = (uintptr_t)secret + size_bytes;
    for (uintptr_t at = (uintptr_t)secret / page * page; at < end; at += page)
        if (madvise((void *)at, page, MADV_PAGEOUT) == 0 || errno != EINVAL)
            return false;
    return true;
}

static bool holds_only(const unsigned char *secret, size_t size_bytes, int byte)
{
    for (size_t i = 0; i < size_bytes; i++)
        if (secret[i] != byte)
            return false;
    return true;
}

/* One byte alone may be a piece of any pointer: eight are a piece of a secret. */
static bool holds_piece(const unsigned char *secret, size_t size_bytes, int byte)
{
    size_t run_bytes = 0;
    for (size_t i = 0; i < size_bytes && run_bytes < PIECE_BYTES; i++)
        run_bytes = secret[i] == byte ? run_bytes + 1 : 0;
    return run_bytes == PIECE_BYTES;
}

static void look(const struct secret_alloc *subject, void *context, size_t size_bytes)
{
    size_t align = subject->min_align != 0 ? subject->min_align : _Alignof(max_align_t);
    unsigned char *secret = subject->alloc(context, size_bytes);
    unsigned char *neighbour = subject->alloc(context, size_bytes);
    count(REFUSED, size_bytes, secret == NULL || neighbour == NULL);
    if (secret != NULL && neighbour != NULL) {
        count(UNLOCKED, size_bytes, !is_locked(secret, size_bytes));
        count(MISALIGNED, size_bytes,
              (uintptr_t)secret % align != 0 || (uintptr_t)neighbour % align != 0);
        count(STALE, size_bytes, holds_piece(secret, size_bytes, SECRET));
        memset(secret, SECRET, size_bytes);
        memset(neighbour, NEIGHBOUR, size_bytes);
        bool whole = holds_only(secret, size_bytes, SECRET);
        subject->free(context, neighbour, size_bytes);
        count(CHANGED, size_bytes, !whole || !holds_only(secret, size_bytes, SECRET));
        neighbour = NULL;
    }
    if (neighbour != NULL)
        subject->free(context, neighbour, size_bytes);
    if (secret != NULL)
        subject->free(context, secret, size_bytes);
}

int main(int argument_count, char **arguments)
{
    const struct secret_alloc *const *(*subjects)(uint32_t abi_major) = NULL;
    struct secret_config config = {.size = sizeof config, .lock_budget_bytes = BUDGET_BYTES};
    void *context, *handle = argument_count == 3 ? dlopen(arguments[1], RTLD_NOW) : NULL;
    if (handle != NULL)
        *(void **)&subjects = dlsym(handle, "strongroom_subjects");
    const struct secret_alloc *const *list =
        subjects != NULL ? subjects(STRONGROOM_ABI_MAJOR) : NULL;
    while (list != NULL && *list != NULL && strcmp((*list)->name, arguments[2]) != 0)
        list++;
    if (list == NULL || *list == NULL || (*list)->open(&config, &context) != 0) {
        (void)fprintf(stderr, "usage: sweep SUBJECT.so VARIANT: no such subject, or it says no\n");
        return 2;
    }
    for (size_t size_bytes = 0; size_bytes <= LARGEST_BYTES; size_bytes++)
        look(*list, context, size_bytes);
    for (unsigned kind = 0; kind < KINDS; kind++)
        (void)printf("%s %zu %zu %zu\n", counts[kind].name, counts[kind].count, counts[kind].first,
                     counts[kind].last);
    return 0;
}
