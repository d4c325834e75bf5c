/* SPDX-License-Identifier: MIT */
/* libfuzzer.c: the entry points of libFuzzer. */
#include <string.h>

#include "fuzz/mutate.h"
#include "fuzz/target.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count_bytes);
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t count_bytes, size_t bytes_max); /* the engine's */
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t count_bytes, size_t bytes_max, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *first, size_t first_bytes, const uint8_t *second,
                                 size_t second_bytes, uint8_t *out, size_t out_bytes,
                                 unsigned seed);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    target_start();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count_bytes)
{
    target_run_or_abort(bytes, count_bytes);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t count_bytes, size_t bytes_max, unsigned seed)
{
    /* Of many once the engine's own, which know the dictionary and what was compared with what. */
    if (seed % OWN_ONE_IN == OWN_ONE_IN - 1)
        return LLVMFuzzerMutate(bytes, count_bytes, bytes_max);
    return mutate(bytes, count_bytes, bytes, bytes_max, seed);
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *first, size_t first_bytes, const uint8_t *second,
                                 size_t second_bytes, uint8_t *out, size_t out_bytes, unsigned seed)
{
    return mutate_splice(first, first_bytes, second, second_bytes, out, out_bytes, seed);
}
