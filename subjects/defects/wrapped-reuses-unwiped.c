/* SPDX-License-Identifier: MIT */
/*
 * id: wrapped-reuses-unwiped
 * what: a layer above a correct allocator keeps the secret freed last for the next request of its size
 * models: -
 * base: control-correct
 * must: fresh zero-on-free use-after-free
 * may: all-zero neighbour double-free zero-on-resize states overrun-caught underrun-caught no-residue threads reopen scale fault-hygiene accounting own-limit honest-lock no-dump
 * fuzz: yes
 * trigger: open; alloc s0 32; fill s0; free s0
 * shows: BAD: after free
 */
#include <string.h>

#include "wrapper.h"

/* One freed secret, alive to the base, for the next request of that size. */
static void *kept;
static size_t kept_bytes;

static void let_go(void *context)
{
    if (kept != NULL)
        base->free(context, kept, kept_bytes);
    kept = NULL;
}

static void *allocate(void *context, size_t size_bytes)
{
    void *secret = kept;
    if (kept == NULL || kept_bytes != size_bytes) {
        let_go(context);
        return base->alloc(context, size_bytes);
    }
    kept = NULL;
    return secret;
}

static void release(void *context, void *secret, size_t size_bytes)
{
    if (secret == kept || base->usable(context, secret) != size_bytes) {
        base->free(context, secret, size_bytes); /* misuse: the base will see */
        return;
    }
    let_go(context);
    kept = secret;
    kept_bytes = size_bytes;
}

static int finish(void *context)
{
    kept = NULL;
    return base->close(context);
}

static void change(struct secret_alloc *table)
{
    table->alloc = allocate;
    table->free = release;
    table->close = finish;
}
