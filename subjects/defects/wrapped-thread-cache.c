/* SPDX-License-Identifier: MIT */
/*
 * id: wrapped-thread-cache
 * what: each thread remembers the beginning of the secret that it freed last, in a variable of its own
 * models: -
 * base: control-correct
 * must: no-residue
 * may: no-swap threads no-dump states
 * fuzz: no: unseen: no operation looks outside of the places of secrets
 * trigger: probe residue 64 0
 * shows: [1-9][0-9]* runs of 8 dead bytes
 */
#include <string.h>

#include "wrapper.h"

static _Thread_local unsigned char last[64];

static void release(void *context, void *secret, size_t size_bytes)
{
    if (base->usable(context, secret) == size_bytes)
        memcpy(last, secret, size_bytes < sizeof last ? size_bytes : sizeof last);
    __asm__ volatile("" : : "r"(last) : "memory");
    base->free(context, secret, size_bytes);
}

static void change(struct secret_alloc *table)
{
    table->free = release;
}
