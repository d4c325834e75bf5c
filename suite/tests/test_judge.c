/* SPDX-License-Identifier: MIT */
/* test_judge.c: which refusals leave nothing to look at. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "suite/judge.h"

static bool refusal_counts(enum model_code code, int error)
{
    struct seen seen[] = {
        {.kind = SEEN_OPERATION, .operation.code = MODEL_OPEN, .event.outcome = MODEL_OK},
        {.kind = SEEN_OPERATION,
         .operation.code = (uint8_t)code,
         .event = {.outcome = MODEL_REFUSED, .error = error}},
    };
    struct case_run run = {.seen = seen, .count = sizeof seen / sizeof *seen};
    struct evidence evidence = {0};
    return refused(&run, &evidence);
}

static void refused_memory_is_nothing_to_look_at(void **state)
{
    (void)state;
    assert_true(refusal_counts(MODEL_ALLOC, ENOMEM));
    assert_true(refusal_counts(MODEL_ALLOC, EINVAL));
    assert_true(refusal_counts(MODEL_OPEN, EINVAL));
    assert_true(refusal_counts(MODEL_ALLOC_ALIGNED, ENOMEM));
}

/* By the contract it may say EINVAL: all other secrets of that case are still looked at. */
static void refused_alignment_leaves_the_others(void **state)
{
    (void)state;
    assert_false(refusal_counts(MODEL_ALLOC_ALIGNED, EINVAL));
    assert_false(refusal_counts(MODEL_RESIZE, ENOMEM));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_memory_is_nothing_to_look_at),
        cmocka_unit_test(refused_alignment_leaves_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
