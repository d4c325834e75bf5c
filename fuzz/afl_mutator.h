/* SPDX-License-Identifier: MIT */
/* afl_mutator.h: what AFL++ looks for in a custom mutator (its docs/custom_mutators.md). */
#ifndef FUZZ_AFL_MUTATOR_H
#define FUZZ_AFL_MUTATOR_H

#include <stddef.h>
#include <stdint.h>

#define SPLICE_ONE_IN 8u

void *afl_custom_init(void *afl, unsigned int seed);
void afl_custom_deinit(void *data);
size_t afl_custom_fuzz(void *data, uint8_t *bytes, size_t count_bytes, uint8_t **out,
                       uint8_t *other, size_t other_bytes, size_t bytes_max);
int32_t afl_custom_init_trim(void *data, uint8_t *bytes, size_t count_bytes);
size_t afl_custom_trim(void *data, uint8_t **out);
int32_t afl_custom_post_trim(void *data, unsigned char same);

#endif
