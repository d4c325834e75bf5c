/* SPDX-License-Identifier: MIT */
/* secrets.c: see secrets.h. */
#include "fuzz/secrets.h"

#include <string.h>

#define ODD 0x9e3779b1u        /* 2^32 / golden ratio */
#define ODD_INVERSE 0xe8b2f51u /* ODD * ODD_INVERSE = 1 (mod 2^32) */

static uint32_t scramble(uint32_t x)
{
    x *= ODD;
    x ^= x >> 16;
    return x * ODD;
}

static uint32_t unscramble(uint32_t x)
{
    x *= ODD_INVERSE;
    x ^= x >> 16;
    return x * ODD_INVERSE;
}

static uint32_t check(uint32_t low)
{
    uint32_t x = (low ^ 0x5bd1e995u) * 0x85ebca6bu;
    return (x ^ x >> 15) * 0xc2b2ae35u | 1u; /* never zero, so no word is */
}

static uint64_t word_of(uint32_t fill, size_t word)
{
    uint32_t low = scramble((fill & 0xffff) << 16 | ((uint32_t)word & 0xffff));
    return (uint64_t)check(low) << 32 | low;
}

/* What lies at p is left to no function of libc, which a sanitizer stands in for. */
void secrets_write(uint32_t fill, void *p, size_t size_bytes)
{
    unsigned char *to = p;
    size_t whole = size_bytes / SECRETS_WORD_BYTES;
    for (size_t i = 0; i < whole; i++) {
        uint64_t word = word_of(fill, i);
        memcpy(to + i * sizeof word, &word, sizeof word);
    }
    uint64_t last = word_of(fill, whole);
    for (size_t i = whole * SECRETS_WORD_BYTES; i < size_bytes; i++, last >>= 8)
        to[i] = (unsigned char)last; /* little-endian, as all that raw.h knows */
}

bool secrets_match(uint32_t fill, size_t offset, const void *p, size_t size_bytes)
{
    const unsigned char *from = p;
    size_t whole = size_bytes / SECRETS_WORD_BYTES;
    for (size_t i = 0; i < whole; i++) {
        uint64_t word = word_of(fill, offset / SECRETS_WORD_BYTES + i);
        if (memcmp(from + i * sizeof word, &word, sizeof word) != 0)
            return false;
    }
    uint64_t last = word_of(fill, offset / SECRETS_WORD_BYTES + whole);
    for (size_t i = whole * SECRETS_WORD_BYTES; i < size_bytes; i++, last >>= 8)
        if (from[i] != (unsigned char)last)
            return false;
    return true;
}

static bool is_word(uint64_t value)
{
    return (uint32_t)(value >> 32) == check((uint32_t)value);
}

/* Most memory that is searched is wiped: how many bytes from p on are zero, in steps of 64. */
static size_t zeros(const unsigned char *p, size_t size_bytes)
{
    size_t at = 0;
    for (; at + 64 <= size_bytes; at += 64) {
        uint64_t words[8];
        memcpy(words, p + at, sizeof words);
        if ((words[0] | words[1] | words[2] | words[3] | words[4] | words[5] | words[6] |
             words[7]) != 0)
            break;
    }
    return at;
}

bool secrets_find(const void *p, size_t size_bytes, size_t from, struct secrets_word *found)
{
    const unsigned char *bytes = p;
    for (size_t at = from; at + SECRETS_WORD_BYTES <= size_bytes; at++) {
        uint64_t value;
        memcpy(&value, bytes + at, sizeof value);
        if (value == 0) { /* no word begins with more than four zeros */
            size_t zero_bytes = zeros(bytes + at, size_bytes - at);
            at += (zero_bytes > SECRETS_WORD_BYTES ? zero_bytes : SECRETS_WORD_BYTES) -
                  SECRETS_WORD_BYTES / 2 - 1;
            continue;
        }
        if (!is_word(value))
            continue;
        uint32_t whose = unscramble((uint32_t)value);
        *found = (struct secrets_word){.at = at, .fill = whose >> 16, .word = whose & 0xffff};
        return true;
    }
    return false;
}

size_t secrets_nonzero(const void *p, size_t size_bytes)
{
    const unsigned char *bytes = p;
    size_t count = 0, at = zeros(bytes, size_bytes);
    for (; at + SECRETS_WORD_BYTES <= size_bytes; at += SECRETS_WORD_BYTES) {
        uint64_t value;
        memcpy(&value, bytes + at, sizeof value); /* of a constant size: an instruction */
        for (; value != 0; value >>= 8)
            count += (value & 0xff) != 0;
    }
    for (; at < size_bytes; at++)
        count += bytes[at] != 0;
    return count;
}

size_t secrets_words_in_place(uint32_t fill, size_t offset, const void *p, size_t size_bytes)
{
    const unsigned char *bytes = p;
    size_t count = 0;
    for (size_t at = 0; at + SECRETS_WORD_BYTES <= size_bytes; at += SECRETS_WORD_BYTES) {
        uint64_t word = word_of(fill, (offset + at) / SECRETS_WORD_BYTES);
        count += memcmp(bytes + at, &word, sizeof word) == 0;
    }
    return count;
}
