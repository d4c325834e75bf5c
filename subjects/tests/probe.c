/* SPDX-License-Identifier: MIT */
/*
 * probe.c: what the language of programs cannot say, for the triggers of some known-bad allocators.
 *
 *     probe flag FLAG SIZE SUBJECT [VARIANT]       "dd" or "no dd": is it among the VmFlags of the first page of
 *                                                  a secret, and then, of the last?
 *     probe child - SIZE SUBJECT [VARIANT]         "the child reads 32 of 32 bytes", or what signal it died of
 *     probe residue SIZE NEW SUBJECT [VARIANT]     plants a secret and frees it (NEW 0) or resizes it to NEW
 *                                                  bytes; "3 runs of 8 dead bytes": copies that are left
 *
 * The secret exists in no other place than its own: it is computed byte by byte, and what is searched
 * for is kept masked.
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contract/strongroom.h"

#define SIZE_BYTES_MAX ((size_t)4096)
#define RUN_BYTES ((size_t)8)
#define MASK 0x5au
#define MASK_WORD UINT64_C(0x5a5a5a5a5a5a5a5a)

static struct secret_alloc subject;
static uint64_t masked_runs[SIZE_BYTES_MAX];
static bool may_be[1 << 16]; /* by the low half of a run's low word: most of memory ends here */

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "probe: %s\n", what);
    exit(2);
}

static void load(const char *path, const char *variant)
{
    const struct secret_alloc *const *(*subjects)(uint32_t) = NULL;
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    void *symbol = handle == NULL ? NULL : dlsym(handle, "strongroom_subjects");
    if (symbol == NULL)
        fail(dlerror());
    memcpy(&subjects, &symbol, sizeof subjects);
    const struct secret_alloc *const *table = subjects(STRONGROOM_ABI_MAJOR);
    while (*table != NULL && variant != NULL && strcmp((*table)->name, variant) != 0)
        table++;
    if (*table == NULL)
        fail("no such variant");
    memcpy(&subject, *table, sizeof subject);
}

/* ---- the secret: splitmix64 (Steele, Lea, Flood 2014), seeded by where the stack is ---- */

static unsigned char masked_byte(uint64_t seed, size_t i)
{
    uint64_t x = seed + i * UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return (unsigned char)(x ^ x >> 31);
}

static void plant(uint64_t seed, volatile unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = masked_byte(seed, i) ^ MASK;
}

static void remember(uint64_t seed, size_t n)
{
    for (size_t i = 0; i + RUN_BYTES <= n; i++) {
        for (size_t j = 0; j < RUN_BYTES; j++)
            masked_runs[i] |= (uint64_t)masked_byte(seed, i + j) << (8 * j);
        may_be[(uint16_t)(masked_runs[i] ^ MASK_WORD)] = true;
    }
}

/* ---- looking ---- */

static bool is_run(const unsigned char *at, size_t n)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    if (!may_be[(uint16_t)word])
        return false;
    word ^= MASK_WORD;
    for (size_t i = 0; i + RUN_BYTES <= n; i++)
        if (masked_runs[i] == word)
            return true;
    return false;
}

/* In all writable memory but the places that may hold it: [alive, alive_end). */
static size_t runs_in_process(size_t n, const unsigned char *alive, const unsigned char *alive_end)
{
    char line[512], access[8];
    unsigned long start, end;
    size_t runs = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    if (maps == NULL)
        fail("/proc/self/maps cannot be read");
    while (fgets(line, sizeof line, maps) != NULL) {
        if (sscanf(line, "%lx-%lx %7s", &start, &end, access) != 3 || strncmp(access, "rw", 2) != 0)
            continue;
        for (const unsigned char *at = (const unsigned char *)start;
             at + RUN_BYTES <= (const unsigned char *)end; at++)
            runs += !(at >= alive && at < alive_end) && is_run(at, n);
    }
    fclose(maps);
    return runs;
}

static void flag_at(const unsigned char *at, const char *name)
{
    char line[512];
    unsigned long start, end;
    bool inside = false;
    FILE *smaps = fopen("/proc/self/smaps", "re");
    if (smaps == NULL)
        fail("/proc/self/smaps cannot be read");
    while (fgets(line, sizeof line, smaps) != NULL) {
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            inside = start <= (unsigned long)at && (unsigned long)at < end;
        if (inside && strncmp(line, "VmFlags:", 8) == 0)
            printf("%s%s\n", strstr(line, name) != NULL ? "" : "no ", name);
    }
    fclose(smaps);
}

/* A secret of n bytes, planted. */
static unsigned char *planted(void **context, uint64_t seed, size_t n)
{
    const struct secret_config config = {.size = sizeof config};
    if (n == 0 || subject.open(&config, context) != 0)
        fail("it does not open");
    unsigned char *p = subject.alloc(*context, n);
    if (p == NULL)
        fail("no secret to look at");
    plant(seed, p, n);
    return p;
}

static void flag(const char *name, size_t n)
{
    void *context;
    const unsigned char *p = planted(&context, 1, n);
    flag_at(p, name);
    flag_at(p + n - 1, name);
}

static void child(size_t n)
{
    void *context;
    int status;
    const volatile unsigned char *p = planted(&context, 1, n);
    pid_t pid = fork();
    if (pid == 0) {
        size_t same = 0;
        for (size_t i = 0; i < n; i++)
            same += p[i] == (unsigned char)(masked_byte(1, i) ^ MASK);
        printf("the child reads %zu of %zu bytes\n", same, n);
        exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        fail("no child");
    if (WIFSIGNALED(status))
        printf("the child died of signal %d\n", WTERMSIG(status));
}

static void residue(size_t n, size_t new_n)
{
    void *context;
    uint64_t seed = (uint64_t)(uintptr_t)&context;
    if (n > SIZE_BYTES_MAX)
        fail("too long");
    unsigned char *p = planted(&context, seed, n), *moved = NULL;
    if (new_n == 0)
        subject.free(context, p, n);
    else
        moved = subject.resize(context, p, n, new_n);
    size_t kept = new_n == 0 ? 0 : moved == NULL || new_n > n ? n : new_n;
    const unsigned char *alive = moved != NULL ? moved : p;
    remember(seed, n);
    printf("%zu runs of 8 dead bytes\n", runs_in_process(n, alive, alive + kept));
}

int main(int count, char **arguments)
{
    if (count < 5)
        fail(
            "usage: probe flag FLAG SIZE | child - SIZE | residue SIZE NEW, then SUBJECT [VARIANT]");
    load(arguments[4], count > 5 ? arguments[5] : NULL);
    if (strcmp(arguments[1], "flag") == 0)
        flag(arguments[2], strtoull(arguments[3], NULL, 10));
    else if (strcmp(arguments[1], "residue") == 0)
        residue(strtoull(arguments[2], NULL, 10), strtoull(arguments[3], NULL, 10));
    else if (strcmp(arguments[1], "child") == 0)
        child(strtoull(arguments[3], NULL, 10));
    else
        fail("neither flag, child nor residue");
    return 0;
}
