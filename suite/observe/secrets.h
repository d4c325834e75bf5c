/* SPDX-License-Identifier: MIT */
/*
 * secrets.h: the pool of secret bytes of a run, and the search for them in foreign memory.
 *
 * One pool of random bytes, few of them zero, serves all cases of a run; each case plants consecutive
 * pieces of it, from a random start. An index over every 8-byte window of the pool finds any run of
 * 8 or more secret bytes at any address, however it got there, and tells which piece it is from.
 *
 *   pool   |....case A: fill 1|fill 2|...   case B: fill 1 |fill 2 ...|
 *   index  hash(8 bytes) -> position in the pool
 */
#ifndef SUITE_OBSERVE_SECRETS_H
#define SUITE_OBSERVE_SECRETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECRETS_WINDOW_BYTES 8u

struct secrets {
    int pool_fd;         /* memfd, for the cases */
    const uint8_t *pool; /* CASE_POOL_BYTES, then the first window again */
    uint32_t *index;     /* open addressing: position + 1; 0: free */
};

/* Fills the pool from getrandom and builds the index. False and errno where memory, a memfd or
 * random bytes cannot be had. */
bool secrets_open(struct secrets *secrets);
void secrets_close(struct secrets *secrets);

/* The secret byte at a position, which may lie beyond the end of the pool (it wraps). */
uint8_t secrets_byte(const struct secrets *secrets, uint64_t position);
/* From this window on, how many need no look: the pool has no two zeros in a row, so none of those with such a pair. */
static inline size_t secrets_none(const uint8_t window[SECRETS_WINDOW_BYTES])
{
    const size_t last = SECRETS_WINDOW_BYTES - 1;
    return window[last] == 0 && window[last - 1] == 0 ? last : 0;
}
/* The position at which these 8 bytes stand in the pool; false: nowhere. *position is a guess when
 * it is called: where a secret goes on, the next window is the next one of the pool. */
bool secrets_find(const struct secrets *secrets, const uint8_t window[SECRETS_WINDOW_BYTES],
                  uint32_t *position);

#endif
