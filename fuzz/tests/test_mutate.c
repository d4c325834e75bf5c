/* SPDX-License-Identifier: MIT */
/* test_mutate.c: the mutator is pure, stays within its bounds, and is the same one for both engines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fuzz/admit.h"
#include "fuzz/afl_mutator.h"
#include "fuzz/mutate.h"
#include "fuzz/secrets.h"
#include "fuzz/target.h"
#include "model/program.h"

#define BYTES_MAX 776u
#define SEEDS 2000u

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t count_bytes, size_t bytes_max, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *first, size_t first_bytes, const uint8_t *second,
                                 size_t second_bytes, uint8_t *out, size_t out_bytes,
                                 unsigned seed);

static size_t assemble(const char *text, uint8_t *out)
{
    static struct model_program program;
    char error[160];
    assert_true(model_program_parse(&program, text, NULL, error, sizeof error));
    return model_program_encode(&program, out, BYTES_MAX);
}

static const char *const first_text =
    "strongroom program 1\nopen\nalloc s0 page\nfill s0\nfree s0\nclose\n";
static const char *const second_text =
    "strongroom program 1\nopen\nalloc s1 32\nalloc s2 33\nresize s1 page\ncheck s1\nfree s2\n";

static void both_engines_give_the_same_bytes(void **unused)
{
    uint8_t input[BYTES_MAX], other[BYTES_MAX], libfuzzer[BYTES_MAX], *afl;
    size_t input_bytes = assemble(first_text, input), other_bytes = assemble(second_text, other);
    unsigned splices = 0;
    (void)unused;
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        if (seed % OWN_ONE_IN == OWN_ONE_IN - 1)
            continue;
        void *mutator = afl_custom_init(NULL, seed);
        memcpy(libfuzzer, input, input_bytes);
        size_t expected = LLVMFuzzerCustomMutator(libfuzzer, input_bytes, BYTES_MAX, seed);
        size_t length = afl_custom_fuzz(mutator, input, input_bytes, &afl, NULL, 0, BYTES_MAX);
        assert_int_equal(length, expected);
        assert_memory_equal(afl, libfuzzer, length);
        afl_custom_deinit(mutator);

        if (seed % SPLICE_ONE_IN != 0)
            continue;
        splices++;
        mutator = afl_custom_init(NULL, seed);
        expected = LLVMFuzzerCustomCrossOver(input, input_bytes, other, other_bytes, libfuzzer,
                                             BYTES_MAX, seed);
        length = afl_custom_fuzz(mutator, input, input_bytes, &afl, other, other_bytes, BYTES_MAX);
        assert_int_equal(length, expected);
        assert_memory_equal(afl, libfuzzer, length);
        afl_custom_deinit(mutator);
    }
    assert_int_equal(splices, SEEDS / SPLICE_ONE_IN);
}

/* From nothing at all, step by step, every operation that is not left out on purpose turns up. */
static void every_operation_is_made(void **unused)
{
    uint8_t bytes[BYTES_MAX];
    bool seen[MODEL_CODES] = {false};
    size_t length = 0;
    (void)unused;
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        static struct model_program program;
        length = mutate(bytes, length, bytes, BYTES_MAX, seed);
        assert_true(length <= BYTES_MAX);
        model_program_decode(&program, bytes, length);
        for (size_t i = 0; i < program.count; i++)
            seen[program.operations[i].code] = true;
    }
    for (unsigned code = 0; code < MODEL_CODES; code++)
        if (code != MODEL_STORM)
            assert_true(seen[code]);
}

static void results_fit(void **unused)
{
    uint8_t input[BYTES_MAX], out[BYTES_MAX];
    size_t input_bytes = assemble(second_text, input);
    (void)unused;
    for (size_t room = 16; room < BYTES_MAX; room += 13)
        for (unsigned seed = 0; seed < 50; seed++) {
            memset(out, 0xee, sizeof out);
            size_t length = mutate(input, input_bytes, out, room, seed);
            assert_true(length <= room && length % MODEL_RECORD_BYTES == 0);
            for (size_t i = room; i < sizeof out; i++)
                assert_int_equal(out[i], 0xee);
        }
}

/* As AFL++ calls it: what makes no difference is gone in the end, what does is left. */
static void trimming_keeps_what_matters(void **unused)
{
    uint8_t input[BYTES_MAX], *shorter;
    size_t input_bytes = assemble(second_text, input), last = 0;
    void *mutator = afl_custom_init(NULL, 1);
    static struct model_program program;
    (void)unused;
    int32_t steps = afl_custom_init_trim(mutator, input, input_bytes);
    for (int32_t step = 0; step < steps;) {
        size_t length = afl_custom_trim(mutator, &shorter);
        bool resizes = false;
        model_program_decode(&program, shorter, length);
        for (size_t i = 0; i < program.count; i++)
            resizes = resizes || program.operations[i].code == MODEL_RESIZE;
        if (resizes)
            last = length;
        step = afl_custom_post_trim(mutator, resizes);
    }
    afl_custom_deinit(mutator);
    assert_int_equal(last, 2 * MODEL_RECORD_BYTES);
}

static void secrets_tell_whose_they_are(void **unused)
{
    uint8_t bytes[300];
    struct secrets_word word;
    (void)unused;
    for (size_t offset = 0; offset < 9; offset++) {
        memset(bytes, 0, sizeof bytes);
        assert_false(secrets_find(bytes, sizeof bytes, 0, &word));
        secrets_write(777, bytes + 100 + offset, 40);
        assert_true(secrets_find(bytes, sizeof bytes, 0, &word));
        assert_int_equal(word.fill, 777);
        assert_int_equal(word.word, 0);
        assert_int_equal(word.at, 100 + offset);
        assert_true(secrets_match(777, 0, bytes + 100 + offset, 40));
        assert_false(secrets_match(778, 0, bytes + 100 + offset, 40));
        assert_int_equal(secrets_words_in_place(777, 0, bytes + 100 + offset, 40), 5);
        assert_int_equal(secrets_words_in_place(777, 8, bytes + 100 + offset, 40), 0);
    }
}

/* At every place of memory that is not empty, and in no other place. */
static void a_secret_is_found_wherever_it_lies(void **unused)
{
    uint8_t bytes[200], noise[200];
    struct secrets_word word;
    (void)unused;
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)(i * 37 + 11);
    assert_false(secrets_find(noise, sizeof noise, 0, &word));
    for (size_t at = 0; at + 8 <= sizeof bytes; at++) {
        memcpy(bytes, noise, sizeof bytes);
        secrets_write(5, bytes + at, 8);
        assert_true(secrets_find(bytes, sizeof bytes, 0, &word));
        assert_int_equal(word.at, at);
        assert_int_equal(word.fill, 5);
        assert_false(secrets_find(bytes, sizeof bytes, at + 1, &word));
    }
}

static void bytes_that_are_not_zero_are_counted(void **unused)
{
    uint8_t bytes[150] = {0};
    (void)unused;
    assert_int_equal(secrets_nonzero(bytes, sizeof bytes), 0);
    for (size_t i = 0; i < sizeof bytes; i += 7) {
        bytes[i] = (uint8_t)(i + 1);
        assert_int_equal(secrets_nonzero(bytes, sizeof bytes), i / 7 + 1);
        assert_int_equal(secrets_nonzero(bytes, i), i / 7);
    }
}

/* Of programs that want to fork about one in a hundred may, and any can be made to. */
static void few_programs_fork(void **unused)
{
    uint8_t bytes[BYTES_MAX];
    unsigned may = 0;
    (void)unused;
    size_t length = assemble("strongroom program 1\nopen\nalloc s0 32\nfork libc\n", bytes);
    for (unsigned i = 0; i < 10000; i++) {
        memcpy(bytes + length - 4, &i, sizeof i);
        may += admit_may_fork(bytes, length);
    }
    assert_in_range(may, 50, 200);
    admit_grant_fork(bytes, length);
    assert_true(admit_may_fork(bytes, length));
}

/* libfuzzer.c is linked for its mutators only. */
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t count_bytes, size_t bytes_max);
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t count_bytes, size_t bytes_max)
{
    (void)bytes;
    (void)bytes_max;
    return count_bytes;
}
void target_start(void)
{
}
void target_run_or_abort(const uint8_t *bytes, size_t count_bytes)
{
    (void)bytes;
    (void)count_bytes;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_engines_give_the_same_bytes),
        cmocka_unit_test(every_operation_is_made),
        cmocka_unit_test(results_fit),
        cmocka_unit_test(trimming_keeps_what_matters),
        cmocka_unit_test(secrets_tell_whose_they_are),
        cmocka_unit_test(a_secret_is_found_wherever_it_lies),
        cmocka_unit_test(bytes_that_are_not_zero_are_counted),
        cmocka_unit_test(few_programs_fork),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
