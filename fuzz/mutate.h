/* SPDX-License-Identifier: MIT */
/*
 * mutate.h: changes to programs, for every engine alike: pure functions of bytes and a seed.
 *
 * A change is one of operations, not of bits: one is added, taken out, moved or altered in one field, with values
 * that are likely to matter (few slots, interesting sizes, sizes one more or less). Bytes are changed too, at times:
 * what the model leaves out would else never be met. Results are whole records behind a header.
 */
#ifndef FUZZ_MUTATE_H
#define FUZZ_MUTATE_H

#include <stddef.h>
#include <stdint.h>

#define MUTATE_OPERATIONS_MAX 96u /* of a result */
#define OWN_ONE_IN 16u /* libFuzzer: of so many seeds the last one is left to its own mutations */

/* A changed copy of in, written to out. Returns its length, at most out_bytes (which is 16 or more). in and out may
 * be the same. */
size_t mutate(const uint8_t *in, size_t in_bytes, uint8_t *out, size_t out_bytes, uint64_t seed);
/* The beginning of one program and the end of another. out is neither of them. */
size_t mutate_splice(const uint8_t *first, size_t first_bytes, const uint8_t *second,
                     size_t second_bytes, uint8_t *out, size_t out_bytes, uint64_t seed);
/* How many operations in has. */
size_t mutate_count(const uint8_t *in, size_t in_bytes);
/* A copy without the `count` operations from number `from` on. */
size_t mutate_without(const uint8_t *in, size_t in_bytes, size_t from, size_t count, uint8_t *out,
                      size_t out_bytes);

#endif
