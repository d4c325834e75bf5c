/* SPDX-License-Identifier: MIT */
/*
 * id: wrapped-unlocks-large
 * what: a layer above a correct allocator unlocks what is larger than 64 KiB, to save locked memory
 * models: -
 * base: control-correct
 * must: locked
 * may: accounting honest-lock neighbour scale threads reopen no-swap zero-on-free
 * fuzz: yes
 * trigger: open; alloc s0 17*page; look s0
 * shows: BAD: only
 */
#include <sys/mman.h>

#include "wrapper.h"

static void *allocate(void *context, size_t size_bytes)
{
    void *secret = base->alloc(context, size_bytes);
    if (secret && size_bytes > 65536)
        munlock(secret, size_bytes);
    return secret;
}

static void change(struct secret_alloc *table)
{
    table->alloc = allocate;
}
