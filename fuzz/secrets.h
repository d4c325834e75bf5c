/* SPDX-License-Identifier: MIT */
/*
 * secrets.h: bytes that tell by themselves whose they are, so that one look at any memory says
 * whether it holds a piece of a secret, and of which.
 *
 *     secret number f:   | word 0 | word 1 | ...        each of 8 bytes
 *     word w of it:      low half  = scramble(f, w)     a bijection: f and w can be had back
 *                        high half = check(low half)    chance memory passes 1 time in 2^32
 *
 * No piece that is all zero is one: wiped memory never looks like a secret. Any 15 bytes of a
 * secret contain a whole word. The bytes depend on the number alone, so runs repeat exactly.
 */
#ifndef FUZZ_SECRETS_H
#define FUZZ_SECRETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECRETS_WORD_BYTES 8u

/* Writes the first size_bytes bytes of secret number fill to p. */
void secrets_write(uint32_t fill, void *p, size_t size_bytes);
/* Are the size_bytes at p those of secret fill, from its byte offset (a multiple of 8) on? */
bool secrets_match(uint32_t fill, size_t offset, const void *p, size_t size_bytes);

/* A whole word of a secret. */
struct secrets_word {
    size_t at;     /* where in the memory that was searched */
    uint32_t fill; /* whose, modulo 65,536 */
    uint32_t word; /* which of its words, modulo 65,536 */
};

/* Looks for the first whole word of any secret in the size_bytes at p, from byte `from` on, at every
 * offset. */
bool secrets_find(const void *p, size_t size_bytes, size_t from, struct secrets_word *found);
/* How many of the bytes at p are not zero. */
size_t secrets_nonzero(const void *p, size_t size_bytes);
/* How many of the first whole words of secret fill, from its byte offset (a multiple of 8) on, stand
 * in their own place at p. */
size_t secrets_words_in_place(uint32_t fill, size_t offset, const void *p, size_t size_bytes);

#endif
