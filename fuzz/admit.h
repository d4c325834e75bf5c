/* SPDX-License-Identifier: MIT */
/*
 * admit.h: what of a program is run in one process with many others: an operation that would cost
 * the process, its speed or its repeatability is taken out, or made smaller, before the program starts.
 *
 *   storm                    out: threads that run freely never repeat
 *   fork                     out, but for 1 program in 100 (by a hash of its bytes)
 *   smash, misuse            out, unless the subject reports misuse through `fatal`, and claims to
 *                            notice this one: what nobody notices would damage the fuzzer itself
 *   smash                    is followed by the free that has to notice it, and ends the program
 *                            (README.md)
 *   crowd                    of 64 at most, or full
 *   limit                    never above ADMIT_LIMIT_BYTES, for so much is the hard one
 *   touch, walk ... write    past an end: reads instead, but for subjects that claim a guard there
 *   fail ... after           takes effect for locks only; `privileged` is not granted
 */
#ifndef FUZZ_ADMIT_H
#define FUZZ_ADMIT_H

#include "model/program.h"
#include "model/subject.h"

#define ADMIT_OPERATIONS_MAX 128u /* of a program; the rest is dropped */
#define ADMIT_LIMIT_BYTES ((size_t)256 << 10)

/* A set of promises that a subject claims, as far as the oracle asks. */
enum claim {
    CLAIM_ALL_ZERO,
    CLAIM_BAD_FREE,
    CLAIM_DOUBLE_FREE,
    CLAIM_FAULT_HYGIENE,
    CLAIM_FORK,
    CLAIM_GUARD_AFTER,
    CLAIM_GUARD_BEFORE,
    CLAIM_OVERRUN,
    CLAIM_REOPEN,
    CLAIM_STATES,
    CLAIM_UNDERRUN,
    CLAIM_UNREADABLE,
    CLAIM_USE_AFTER_FREE,
    CLAIM_ZERO_ON_CLOSE,
    CLAIMS
};
struct claims {
    bool made[CLAIMS];
    bool has_threads; /* that run on: what fatal was jumped out of cannot be taken back */
};
extern const char *const claim_ids[CLAIMS];
struct claims claims_of(const struct secret_alloc *variant);

/* FNV-1a (Fowler, Noll, Vo), 32 bits. */
uint32_t admit_hash(const uint8_t *bytes, size_t count_bytes);
/* May a program with these bytes fork? */
bool admit_may_fork(const uint8_t *bytes, size_t count_bytes);
/* Changes bytes that mean nothing in the header of an encoded program until it may fork, if it wants to. */
void admit_grant_fork(uint8_t *bytes, size_t count_bytes);
/* Reduces program in place. original_index: of each operation that is left, where it stood; room for
 * ADMIT_OPERATIONS_MAX. */
void admit(struct model_program *program, const struct secret_alloc *variant,
           const struct claims *claims, bool may_fork, uint32_t *original_index);

#endif
