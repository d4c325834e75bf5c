/* SPDX-License-Identifier: MIT */
/*
 * id: wrapped-thread-reuses
 * what: each thread but the first keeps the secret it freed last, as it is, for its next request of that size
 * models: -
 * base: control-correct
 * must: threads
 * may: double-free accounting
 * fuzz: yes
 * trigger: open; alloc s0 32; fill s0; baton; free s0; peek s0
 * shows: BAD: after free
 */
#include <string.h>
#include <unistd.h>

#include "wrapper.h"

static _Thread_local void *kept;
static _Thread_local size_t kept_bytes;

static void *allocate(void *context, size_t size_bytes)
{
    void *secret = kept;
    if (kept == NULL || kept_bytes != size_bytes)
        return base->alloc(context, size_bytes);
    kept = NULL;
    return secret;
}

static void release(void *context, void *secret, size_t size_bytes)
{
    if (gettid() == getpid() || kept != NULL) {
        base->free(context, secret, size_bytes);
        return;
    }
    kept = secret;
    kept_bytes = size_bytes;
}

static void change(struct secret_alloc *table)
{
    table->alloc = allocate;
    table->free = release;
}
