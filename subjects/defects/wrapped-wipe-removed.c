/* SPDX-License-Identifier: MIT */
/*
 * id: wrapped-wipe-removed
 * what: a checksum is made of a copy of the secret, which is wiped by a memset that the compiler removes
 * models: krb5#889
 * base: control-correct
 * must: no-residue
 * may: no-swap zero-on-close no-dump threads zero-on-free states
 * fuzz: no: unseen: no operation looks outside of the places of secrets
 * trigger: probe residue 256 0
 * shows: [1-9][0-9]* runs of 8 dead bytes
 */
#include <string.h>

#include "wrapper.h"

/* Of the audit log that this layer keeps. */
static volatile unsigned char sum;

static void release(void *context, void *secret, size_t size_bytes)
{
    unsigned char copy[16384];
    if (size_bytes <= sizeof copy && base->usable(context, secret) == size_bytes) {
        memcpy(copy, secret, size_bytes);
        __asm__ volatile("" : : "r"(copy) : "memory");
        for (size_t i = 0; i < size_bytes; i++)
            sum ^= copy[i];
    }
    base->free(context, secret, size_bytes);
    memset(copy, 0, sizeof copy);
}

static void change(struct secret_alloc *table)
{
    table->free = release;
}
