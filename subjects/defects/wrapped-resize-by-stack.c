/* SPDX-License-Identifier: MIT */
/*
 * id: wrapped-resize-by-stack
 * what: a small secret is resized by way of a buffer on the stack, which is left as it is
 * models: -
 * base: control-correct
 * must: no-residue
 * may: no-swap
 * fuzz: no: unseen: no operation looks outside of the places of secrets
 * trigger: probe residue 256 64
 * shows: [1-9][0-9]* runs of 8 dead bytes
 */
#include <string.h>

#include "wrapper.h"

static void *resize(void *context, void *secret, size_t old_size_bytes, size_t new_size_bytes)
{
    unsigned char buffer[16384];
    if (old_size_bytes > sizeof buffer || base->usable(context, secret) != old_size_bytes)
        return base->resize(context, secret, old_size_bytes, new_size_bytes);
    void *moved = base->alloc(context, new_size_bytes);
    if (moved == NULL)
        return NULL;
    memcpy(buffer, secret, old_size_bytes);
    __asm__ volatile("" : : "r"(buffer) : "memory"); /* the copy is made in memory */
    base->free(context, secret, old_size_bytes);
    memcpy(moved, buffer, old_size_bytes < new_size_bytes ? old_size_bytes : new_size_bytes);
    return moved;
}

static void change(struct secret_alloc *table)
{
    table->resize = resize;
}
