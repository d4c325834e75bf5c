/* SPDX-License-Identifier: MIT */
/*
 * id: wrapped-wipes-newest
 * what: a layer that wipes before it frees takes the secret that was handed out last for the one that is freed
 * models: memguard#157
 * base: control-correct
 * must: neighbour
 * may: bad-free double-free reopen scale threads fault-hygiene zero-on-resize fork
 * fuzz: yes
 * trigger: open; alloc s0 32; alloc s1 32; fill s1; free s0; check s1
 * shows: BAD: byte 0
 */
#include <string.h>

#include "wrapper.h"

static void *newest;

static void *allocate(void *context, size_t size_bytes)
{
    newest = base->alloc(context, size_bytes);
    return newest;
}

static void release(void *context, void *secret, size_t size_bytes)
{
    if (newest != NULL && base->usable(context, newest) > 0)
        explicit_bzero(newest, base->usable(context, newest));
    if (newest == secret)
        newest = NULL;
    base->free(context, secret, size_bytes);
}

static void change(struct secret_alloc *table)
{
    table->alloc = allocate;
    table->free = release;
}
