/* SPDX-License-Identifier: MIT */
/* test_result.c: the gate's four statuses, the names, and what the JSON makes of odd results. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "suite/nearest.h"
#include "suite/promise.h"
#include "suite/report/report.h"
#include "suite/result.h"

/* ---- a result by hand: one subject, at most four verdicts ---- */

static const struct promise core = {.id = "core-one", .level = PROMISE_CORE};
static const struct promise hard = {.id = "hard-one", .level = PROMISE_HARDENING};

struct by_hand {
    struct run_result result;
    struct subject_result subject;
    struct verdict_record verdicts[4];
};

static void begin(struct by_hand *hand)
{
    *hand = (struct by_hand){0};
    hand->result.count = 1;
    hand->result.subjects = &hand->subject;
    hand->subject.verdicts = hand->verdicts;
}

static void add(struct by_hand *hand, const struct promise *promise, bool claimed,
                enum verdict verdict)
{
    struct verdict_record *record = &hand->verdicts[hand->subject.count++];

    record->promise = promise;
    record->claimed = claimed;
    record->verdict = verdict;
}

static int gate_of(const struct promise *promise, bool claimed, enum verdict verdict)
{
    struct by_hand hand;

    begin(&hand);
    add(&hand, promise, claimed, verdict);
    return run_result_gate(&hand.result, NULL);
}

/* ---- the gate ---- */

static void gate_of_one_verdict(void **state)
{
    (void)state;
    assert_int_equal(gate_of(&core, false, VERDICT_HOLDS), 0);
    assert_int_equal(gate_of(&core, false, VERDICT_BROKEN), 1);
    assert_int_equal(gate_of(&core, false, VERDICT_NOT_OFFERED), 0);
    assert_int_equal(gate_of(&core, false, VERDICT_NOT_OBSERVABLE), 3);
    assert_int_equal(gate_of(&core, false, VERDICT_ERROR), 2);
    assert_int_equal(gate_of(&hard, true, VERDICT_NOT_OBSERVABLE), 3);
    assert_int_equal(gate_of(&hard, true, VERDICT_BROKEN), 1);
    assert_int_equal(gate_of(&hard, false, VERDICT_NOT_OBSERVABLE), 0);
    assert_int_equal(gate_of(&hard, false, VERDICT_ERROR), 2);
}

static void gate_error_before_broken_before_unobserved(void **state)
{
    struct by_hand hand;

    (void)state;
    begin(&hand);
    add(&hand, &core, false, VERDICT_HOLDS);
    add(&hand, &core, false, VERDICT_NOT_OBSERVABLE);
    assert_int_equal(run_result_gate(&hand.result, NULL), 3);
    add(&hand, &core, false, VERDICT_BROKEN);
    assert_int_equal(run_result_gate(&hand.result, NULL), 1);
    assert_int_equal(run_result_compared(&hand.result), 0);
    add(&hand, &hard, false, VERDICT_ERROR);
    assert_int_equal(run_result_gate(&hand.result, NULL), 2);
    assert_int_equal(run_result_compared(&hand.result), 2);
}

static void gate_allows_what_is_named_only(void **state)
{
    const char *const other[] = {"hard-one", NULL}, *const both[] = {"hard-one", "core-one", NULL};
    struct by_hand hand;

    (void)state;
    begin(&hand);
    add(&hand, &core, false, VERDICT_NOT_OBSERVABLE);
    assert_int_equal(run_result_gate(&hand.result, other), 3);
    assert_int_equal(run_result_gate(&hand.result, both), 0);
    assert_int_equal(run_result_weigh(&hand.result, both).allowed, 1);
    add(&hand, &core, false, VERDICT_BROKEN);
    assert_int_equal(run_result_gate(&hand.result, both), 1);
}

static void gate_of_nothing_is_no_pass(void **state)
{
    struct by_hand hand;
    struct run_result none = {0};

    (void)state;
    begin(&hand);
    assert_int_equal(run_result_gate(&hand.result, NULL), 2);
    assert_int_equal(run_result_gate(&none, NULL), 2);
    assert_int_equal(run_result_compared(&none), 2);
}

static void gate_takes_no_verdict_for_an_error(void **state)
{
    (void)state;
    assert_int_equal(gate_of(&hard, false, (enum verdict)VERDICTS), 2);
}

/* ---- names ---- */

static void names_of_verdicts_levels_observers(void **state)
{
    (void)state;
    assert_string_equal(verdict_name(VERDICT_HOLDS), "holds");
    assert_string_equal(verdict_name(VERDICT_NOT_OBSERVABLE), "not observable here");
    assert_string_equal(verdict_name((enum verdict)99), "?");
    assert_string_equal(promise_level_name(PROMISE_EXTRA), "extra");
    assert_string_equal(observer_name(OBSERVE_RELEASES), "releases");
    assert_string_equal(observer_name(OBSERVE_IPC_LOCK), "ipc-lock");
    assert_string_equal(observer_name(3), "?");
}

static void nearest_is_near(void **state)
{
    const char *const names[] = {"--jobs", "--json", "zero-on-free", "zero-on-resize", NULL};

    (void)state;
    assert_string_equal(nearest("--jsno", names), "--json");
    assert_string_equal(nearest("zero-on-fre", names), "zero-on-free");
    assert_string_equal(nearest("zero-on-r", names), "zero-on-resize");
    assert_null(nearest("guard", names));
    assert_null(nearest("", names));
    assert_null(nearest("x", names));
}

/* ---- JSON ---- */

static void json_survives_what_is_not_text(void **state)
{
    struct by_hand hand;
    json_t *json;

    (void)state;
    begin(&hand);
    add(&hand, &core, false, VERDICT_HOLDS); /* its details are NULL */
    snprintf(hand.subject.version, sizeof hand.subject.version, "1\xff.2");
    hand.result.seed = UINT64_MAX;
    hand.result.host.memlock_soft_bytes = UINT64_MAX;
    json = report_json(&hand.result);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "seed")), "18446744073709551615");
    json_t *subject = json_array_get(json_object_get(json, "subjects"), 0);
    assert_string_equal(json_string_value(json_object_get(subject, "version")), "1?.2");
    json_t *soft = json_object_get(json_object_get(json, "host"), "memlock_soft_bytes");
    assert_true(json_is_null(soft));
    json_decref(json);
}

static void json_is_a_copy(void **state)
{
    struct run_settings settings = {0};
    struct run_result result = {0};
    char error[128];
    json_t *json;

    (void)state;
    assert_true(run(&settings, &result, error, sizeof error)); /* the made-up one */
    json = report_json(&result);
    run_result_free(&result);
    assert_int_equal(result.count, 0);
    char *text = json_dumps(json, 0); /* reads everything: the sanitizers would see a stale one */
    assert_non_null(text);
    free(text);
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gate_of_one_verdict),
        cmocka_unit_test(gate_error_before_broken_before_unobserved),
        cmocka_unit_test(gate_allows_what_is_named_only),
        cmocka_unit_test(gate_of_nothing_is_no_pass),
        cmocka_unit_test(gate_takes_no_verdict_for_an_error),
        cmocka_unit_test(names_of_verdicts_levels_observers),
        cmocka_unit_test(nearest_is_near),
        cmocka_unit_test(json_survives_what_is_not_text),
        cmocka_unit_test(json_is_a_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
