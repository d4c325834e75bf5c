/* SPDX-License-Identifier: MIT */
/*
 * id: wrapped-reuses-tail
 * what: a layer that keeps the secret freed last wipes it in whole cache lines only
 * models: -
 * base: control-correct
 * must: fresh
 * may: zero-on-free all-zero use-after-free neighbour double-free zero-on-resize states overrun-caught underrun-caught no-residue threads reopen scale fault-hygiene accounting own-limit honest-lock
 * fuzz: yes
 * trigger: open; alloc s0 33; fill s0; free s0
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
    memset(secret, 0, size_bytes & ~(size_t)63);
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
