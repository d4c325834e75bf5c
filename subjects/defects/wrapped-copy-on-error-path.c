/* SPDX-License-Identifier: MIT */
/*
 * id: wrapped-copy-on-error-path
 * what: a resize by way of a buffer wipes the buffer, but not when it fails
 * models: openssl#28885
 * base: control-correct
 * must: no-residue
 * may: no-swap
 * fuzz: no: unseen: no operation looks outside of the places of secrets
 * trigger: probe residue 256 18446744073709551615
 * shows: [1-9][0-9]* runs of 8 dead bytes
 */
#include <stdlib.h>
#include <string.h>

#include "wrapper.h"

static void *resize(void *context, void *secret, size_t old_size_bytes, size_t new_size_bytes)
{
    unsigned char *buffer =
        base->usable(context, secret) == old_size_bytes ? malloc(old_size_bytes) : NULL;
    if (buffer == NULL)
        return base->resize(context, secret, old_size_bytes, new_size_bytes);
    memcpy(buffer, secret, old_size_bytes);
    void *moved = base->alloc(context, new_size_bytes);
    if (moved == NULL) {
        __asm__ volatile("" : : "r"(buffer) : "memory");
        free(buffer);
        return NULL;
    }
    memcpy(moved, buffer, old_size_bytes < new_size_bytes ? old_size_bytes : new_size_bytes);
    explicit_bzero(buffer, old_size_bytes);
    free(buffer);
    base->free(context, secret, old_size_bytes);
    return moved;
}

static void change(struct secret_alloc *table)
{
    table->resize = resize;
}
