/*
 * canary.h - a pattern that is written around a secret and must be found there again.
 *
 * The pattern is one 64-bit word, repeated at every multiple of 8: a random key of the heap, mixed with the
 * address of the slot, so that a copy of one secret's surroundings does not fit another secret.
 */
#ifndef CANARY_H
#define CANARY_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t canary_word(uint64_t key, const void *slot)
{
    return key ^ ((uint64_t)(uintptr_t)slot * UINT64_C(0x9e3779b97f4a7c15));
}

static inline unsigned char canary_byte(uint64_t word, const unsigned char *at)
{
    unsigned char bytes[sizeof(word)];
    memcpy(bytes, &word, sizeof(word));
    return bytes[(uintptr_t)at % sizeof(word)];
}

/* Both: from any byte on, to an end that is a multiple of 8, as those of slots and of pages are, and where a secret
 * starts, which is aligned to 16. */
static inline void canary_fill(unsigned char *start, unsigned char *end, uint64_t word)
{
    for (; start < end && (uintptr_t)start % sizeof(word) != 0; start++)
        *start = canary_byte(word, start);
    for (; (size_t)(end - start) >= sizeof(word); start += sizeof(word))
        memcpy(start, &word, sizeof(word));
}

/* All differences are gathered before the answer, so that the time taken does not tell where one is. */
static inline bool canary_intact(const unsigned char *start, const unsigned char *end,
                                 uint64_t word)
{
    uint64_t difference = 0, found;
    for (; start < end && (uintptr_t)start % sizeof(word) != 0; start++)
        difference |= (uint64_t)(*start ^ canary_byte(word, start));
    for (; (size_t)(end - start) >= sizeof(word); start += sizeof(word)) {
        memcpy(&found, start, sizeof(word));
        difference |= found ^ word;
    }
    return difference == 0;
}

#endif
