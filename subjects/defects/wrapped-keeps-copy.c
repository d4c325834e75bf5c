/* SPDX-License-Identifier: MIT */
/*
 * id: wrapped-keeps-copy
 * what: a layer above a correct allocator remembers the last secret that was freed
 * models: -
 * base: control-correct
 * must: no-residue
 * may: zero-on-close no-dump states threads scale
 * fuzz: no: the copy lies where a fuzzer's oracle does not look
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
