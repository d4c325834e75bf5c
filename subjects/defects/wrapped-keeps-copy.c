/* SPDX-License-Identifier: MIT */
/*
 * id: wrapped-keeps-copy
 * what: a layer above a correct allocator remembers the last secret that was freed
 * models: -
 * base: control-correct
 * must: no-residue no-swap
 * may: zero-on-close no-dump states threads scale
 * fuzz: no: unseen: no operation looks outside of the places of secrets
 * trigger: probe residue 64 0
 * shows: [1-9][0-9]* runs of 8 dead bytes
 */
#include <string.h>

#include "wrapper.h"

static unsigned char last[4096];

static void release(void *context, void *secret, size_t size_bytes)
{
    memcpy(last, secret, size_bytes < sizeof last ? size_bytes : sizeof last);
    __asm__ volatile("" : : "r"(last) : "memory"); /* the copy is made, though nothing reads it */
    base->free(context, secret, size_bytes);
}

static void change(struct secret_alloc *table)
{
    table->free = release;
}
