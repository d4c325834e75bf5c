/* SPDX-License-Identifier: MIT */
/*
 * id: wrapped-reuses-unlocked
 * what: a layer that keeps the secret freed last wipes and unlocks it, and does not lock it when it is used again
 * models: -
 * base: control-correct
 * must: locked
 * may: neighbour double-free zero-on-resize states overrun-caught underrun-caught use-after-free no-residue threads reopen scale fault-hygiene accounting own-limit honest-lock no-swap fork all-zero
 * fuzz: yes
 * trigger: open; alloc s0 32; free s0; alloc s0 32; look s0
 * shows: BAD: only
 */
#include <string.h>
#include <sys/mman.h>

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
    if (secret == kept || base->usable(context, secret) != size_bytes ||
        base->protect(context, secret, SECRET_ACCESS_READ_WRITE) != 0) {
        base->free(context, secret, size_bytes); /* misuse: the base will see */
        return;
    }
    let_go(context);
    explicit_bzero(secret, size_bytes);
    munlock(secret, size_bytes);
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
