/* SPDX-License-Identifier: MIT */
/*
 * malloc-mlock.c: what many programs do by hand: malloc and mlock; munlock and free. Neither the
 * result of mlock nor the neighbours on the same page are looked at: that is how it is written.
 *
 * No documentation, so no claims: it is judged by what any allocator for secrets owes.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "contract/strongroom.h"

static int open_heap(const struct secret_config *config, void **context)
{
    (void)config;
    *context = NULL;
    return 0;
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized" /* mlock does not read what it locks */
#endif

static void *allocate(void *context, size_t size_bytes)
{
    (void)context;
    void *secret = malloc(size_bytes);
    mlock(secret, size_bytes);
    return secret;
}

static void release(void *context, void *secret, size_t size_bytes)
{
    (void)context;
    munlock(secret, size_bytes);
    free(secret);
}

static const struct secret_alloc malloc_mlock = {
    .size = sizeof malloc_mlock,
    .flags = SECRET_ALLOC_THREAD_SAFE | SECRET_ALLOC_CHILD_MAY_ALLOC | SECRET_ALLOC_CHILD_MAY_FREE,
    .name = "malloc-mlock",
    .version = "1",
    .library = "malloc-mlock",
    .open = open_heap,
    .alloc = allocate,
    .free = release,
};

const struct secret_alloc *const *strongroom_subjects(uint32_t abi_major)
{
    static const struct secret_alloc *const subjects[] = {&malloc_mlock, NULL};
    return abi_major == STRONGROOM_ABI_MAJOR ? subjects : NULL;
}
