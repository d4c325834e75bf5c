/*
 * wipe.h - overwriting with zeros, in a way that optimizers leave alone.
 *
 * The asm statement takes the pointer and clobbers memory: to the compiler it may read every byte that was
 * just written, so the memset is not a dead store, at any -O, with link-time optimization too. Without the
 * "memory" clobber it would be one. tests/wipe_survives.c looks at the bytes from outside.
 */
#ifndef WIPE_H
#define WIPE_H

#include <stddef.h>
#include <string.h>

static inline void wipe_bytes(void *memory, size_t size_bytes)
{
    memset(memory, 0, size_bytes);
    __asm__ volatile("" : : "r"(memory) : "memory");
}

#endif
