/* SPDX-License-Identifier: MIT */
/* test_shadow.c: every check of the shadow model sees what is wrong, and only that. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "model/shadow.h"

static struct shadow shadow;
static struct shadow_secret *crowd;
static struct secret_alloc variant;

static int fresh(void **unused)
{
    (void)unused;
    memset(&variant, 0, sizeof variant);
    shadow_init(&shadow, &variant, crowd);
    return 0;
}

static struct shadow_violation step(enum model_code code, unsigned slot, unsigned arg,
                                    struct model_event event)
{
    struct model_operation operation = {
        .code = (uint8_t)code, .slot = (uint8_t)slot, .arg = (uint8_t)arg};
    if (event.locked_bytes == 0)
        event.locked_bytes = UINT64_MAX;
    return shadow_step(&shadow, &operation, &event);
}

static void assert_holds(struct shadow_violation v)
{
    if (v.promise_id != NULL)
        fail_msg("%s: %s", v.promise_id, v.detail);
}

static void assert_broken(struct shadow_violation v, const char *promise_id)
{
    if (v.promise_id == NULL)
        fail_msg("%s was not seen broken", promise_id);
    assert_string_equal(v.promise_id, promise_id);
    assert_true(strlen(v.detail) > 0);
}

static struct shadow_violation alloc(unsigned slot, uintptr_t at, size_t size)
{
    return step(MODEL_ALLOC, slot, 0,
                (struct model_event){.address = at, .size_bytes = size, .usable_bytes = size});
}

static struct shadow_violation move(unsigned slot, uintptr_t at, size_t size)
{
    return step(MODEL_RESIZE, slot, 0,
                (struct model_event){.address = at, .size_bytes = size, .usable_bytes = size});
}

static struct shadow_violation release(unsigned slot)
{
    return step(MODEL_FREE, slot, 0, (struct model_event){0});
}

static struct shadow_violation refused(enum model_code code, unsigned slot, int error,
                                       uint64_t locked_bytes)
{
    return step(code, slot, 0,
                (struct model_event){.outcome = MODEL_REFUSED,
                                     .error = error,
                                     .size_bytes = 8,
                                     .locked_bytes = locked_bytes});
}

/* ------------------------------------------------------------------------------------ alignment */

static void alignment_is_as_claimed_or_as_mallocs(void **unused)
{
    assert_broken(alloc(0, 0x1008, 8), "alignment");
    assert_holds(alloc(1, 0x2010, 8));
    fresh(unused);
    variant.min_align = 4;
    shadow_init(&shadow, &variant, crowd);
    assert_holds(alloc(0, 0x1004, 8));
    assert_broken(alloc(1, 0x2002, 8), "alignment");
    variant.min_align = 64;
    shadow_init(&shadow, &variant, crowd);
    assert_broken(alloc(0, 0x1020, 8), "alignment");
    assert_holds(alloc(1, 0x1040, 8));
    assert_broken(move(1, 0x3020, 8), "alignment");
    assert_holds(move(1, 0x3040, 8));
}

static void alignment_is_as_asked_for(void **unused)
{
    struct model_event event = {.address = 0x1080, .size_bytes = 8, .usable_bytes = 8};
    (void)unused;
    assert_holds(step(MODEL_ALLOC_ALIGNED, 0, 7, event));
    event.address = 0x3080;
    assert_broken(step(MODEL_ALLOC_ALIGNED, 1, 8, event), "alignment");
    event.address = 0x5008; /* less than malloc's was asked for: malloc's is still owed */
    assert_broken(step(MODEL_ALLOC_ALIGNED, 2, 1, event), "alignment");
}

/* ---------------------------------------------------------------------------------------- sizes */

static void usable_is_at_least_what_was_asked_for(void **unused)
{
    struct model_event event = {.address = 0x1000, .size_bytes = 8, .usable_bytes = 7};
    (void)unused;
    assert_broken(step(MODEL_ALLOC, 0, 0, event), "sizes");
    event = (struct model_event){.address = 0x2000, .size_bytes = 8, .usable_bytes = 9};
    assert_holds(step(MODEL_ALLOC, 1, 0, event));
}

static void memory_does_not_wrap(void **unused)
{
    (void)unused;
    assert_broken(alloc(0, 0x1000, SIZE_MAX), "sizes");
    assert_broken(alloc(1, UINTPTR_MAX - 0xf, 0x11), "sizes");
    assert_holds(alloc(2, UINTPTR_MAX - 0xf, 0x10));
}

static void live_secrets_do_not_overlap(void **unused)
{
    (void)unused;
    assert_holds(alloc(0, 0x1000, 0x100));
    assert_broken(alloc(1, 0x1000, 0x10), "sizes");
    assert_broken(alloc(2, 0x10f0, 0x20), "sizes");
    assert_broken(alloc(3, 0x0ff0, 0x11), "sizes");
    assert_broken(alloc(4, 0x0f00, 0x1000), "sizes");
    assert_holds(alloc(5, 0x1100, 0x10));
    assert_holds(alloc(6, 0x0ff0, 0x10));
    assert_holds(release(0));
    assert_holds(alloc(7, 0x1000, 0x100));
}

static void slack_counts_as_the_secrets_own(void **unused)
{
    struct model_event event = {.address = 0x1000, .size_bytes = 8, .usable_bytes = 32};
    (void)unused;
    assert_holds(step(MODEL_ALLOC, 0, 0, event));
    assert_broken(alloc(1, 0x1010, 8), "sizes");
    assert_holds(alloc(2, 0x1020, 8));
}

static void empty_secrets_have_places_of_their_own(void **unused)
{
    (void)unused;
    assert_holds(alloc(0, 0x1000, 0));
    assert_broken(alloc(1, 0x1000, 0), "sizes");
    assert_holds(alloc(2, 0x1010, 0));
    assert_holds(alloc(3, 0x1020, 16));
    assert_broken(alloc(4, 0x1020, 0), "sizes");
    assert_holds(alloc(5, 0x1030, 0));
}

static void a_resized_secret_may_stay_where_it_is(void **unused)
{
    (void)unused;
    assert_holds(alloc(0, 0x1000, 0x10));
    assert_holds(move(0, 0x1000, 0x20));
    assert_int_equal(shadow.freed[0].address, 0);
    assert_holds(alloc(1, 0x1020, 0x10));
    assert_broken(move(0, 0x1000, 0x21), "sizes");
    fresh(unused);
    assert_holds(alloc(0, 0x1000, 0x10));
    assert_holds(move(0, 0x2000, 0x10));
    assert_int_equal(shadow.freed[0].address, 0x1000);
    assert_holds(alloc(1, 0x1000, 0x10));
}

static void a_refusal_has_an_errno(void **unused)
{
    (void)unused;
    assert_broken(refused(MODEL_ALLOC, 0, 0, 0), "sizes");
    assert_holds(refused(MODEL_ALLOC, 0, ENOMEM, 0));
    assert_holds(alloc(0, 0x1000, 8));
    assert_broken(refused(MODEL_RESIZE, 0, 0, 0), "sizes");
    assert_broken(refused(MODEL_ALLOC_ALIGNED, 1, 0, 0), "sizes");
    assert_broken(refused(MODEL_CROWD, 0, 0, 0), "sizes");
    assert_holds(refused(MODEL_CROWD, 0, ENOMEM, 0));
    assert_int_equal(shadow.slots[0].address, 0x1000); /* a refused resize changes nothing */
}

static void memory_can_be_written(void **unused)
{
    struct model_event event = {
        .address = 0x1000, .size_bytes = 8, .usable_bytes = 12, .outcome = MODEL_TRAPPED};
    (void)unused;
    assert_holds(alloc(0, 0x1000, 8));
    assert_broken(step(MODEL_FILL, 0, 0, event), "sizes");
    assert_string_equal(step(MODEL_FILL, 0, 0, event).detail,
                        "8 bytes at 0x1000 cannot be written");
    assert_string_equal(step(MODEL_FILL, 0, MODEL_FILL_USABLE, event).detail,
                        "12 bytes at 0x1000 cannot be written");
    event.outcome = MODEL_OK;
    assert_holds(step(MODEL_FILL, 0, 0, event));
}

/* ----------------------------------------------------------------------------------- accounting */

static void a_refused_call_costs_no_quota(void **unused)
{
    struct model_event event = {
        .address = 0x1000, .size_bytes = 8, .usable_bytes = 8, .locked_bytes = 4096};
    (void)unused;
    assert_holds(step(MODEL_ALLOC, 0, 0, event));
    assert_holds(refused(MODEL_ALLOC, 1, ENOMEM, 4096));
    assert_broken(refused(MODEL_ALLOC, 1, ENOMEM, 8192), "accounting");
    fresh(unused);
    assert_holds(refused(MODEL_ALLOC, 1, ENOMEM, 8192)); /* nothing is known from before */
    assert_holds(refused(MODEL_ALLOC, 1, ENOMEM, 4096));
    assert_broken(refused(MODEL_RESIZE, 1, ENOMEM, 4097), "accounting");
}

static void quota_is_not_judged_while_calls_fail(void **unused)
{
    (void)unused;
    assert_holds(refused(MODEL_ALLOC, 1, ENOMEM, 4096));
    assert_holds(step(MODEL_FAIL, 1, 0, (struct model_event){0}));
    assert_holds(refused(MODEL_ALLOC, 1, ENOMEM, 8192));
    assert_holds(step(MODEL_HEAL, 0, 0, (struct model_event){0}));
    assert_broken(refused(MODEL_ALLOC, 1, ENOMEM, 12288), "accounting");
}

/* ------------------------------------------------------------------------------------ neighbour */

static void contents_stay(void **unused)
{
    struct model_event event = {.count = 8, .count_good = 1};
    (void)unused;
    assert_holds(alloc(0, 0x1000, 8));
    assert_holds(step(MODEL_CHECK, 0, 0, event));
    event.count_good = 0;
    assert_broken(step(MODEL_CHECK, 0, 0, event), "neighbour");
    assert_broken(step(MODEL_CROWD_LOOK, 0, 0, (struct model_event){.count = 9, .count_good = 8}),
                  "neighbour");
    assert_holds(step(MODEL_CROWD_LOOK, 0, 0, (struct model_event){.count = 9, .count_good = 9}));
}

static void damage_done_by_the_program_is_not_held_against_the_subject(void **unused)
{
    struct model_event bad = {.count = 8, .count_good = 0};
    (void)unused;
    assert_holds(alloc(0, 0x1000, 8));
    assert_holds(step(MODEL_SMASH, 0, 0, (struct model_event){.outcome = MODEL_TRAPPED}));
    assert_broken(step(MODEL_CHECK, 0, 0, bad), "neighbour"); /* nothing was overwritten */
    assert_holds(step(MODEL_SMASH, 0, 0, (struct model_event){.distance_bytes = 1}));
    assert_holds(step(MODEL_CHECK, 0, 0, bad));
    assert_holds(alloc(1, 0x1000, 8));
    fresh(unused);
    assert_holds(step(MODEL_MISUSE, 0, MODEL_FOREIGN_FREE, (struct model_event){0}));
    assert_holds(step(MODEL_CHECK, 0, 0, bad));
}

static void the_known_part_shrinks_with_the_secret(void **unused)
{
    (void)unused;
    assert_holds(alloc(0, 0x1000, 100));
    assert_holds(step(MODEL_FILL, 0, 0, (struct model_event){.slot_fill = 7, .count = 112}));
    assert_int_equal(shadow.slots[0].known_bytes, 112);
    assert_holds(move(0, 0x2000, 200));
    assert_int_equal(shadow.slots[0].known_bytes, 100);
    assert_holds(move(0, 0x3000, 30));
    assert_int_equal(shadow.slots[0].known_bytes, 30);
    assert_int_equal(shadow.slots[0].fill, 7);
}

/* ------------------------------------------------------------------------------------ the model */

static void what_was_skipped_or_died_changes_nothing(void **unused)
{
    (void)unused;
    assert_holds(alloc(0, 0x1000, 8));
    assert_holds(step(MODEL_FREE, 0, 0, (struct model_event){.outcome = MODEL_SKIPPED}));
    assert_holds(step(MODEL_FREE, 0, 0, (struct model_event){.outcome = MODEL_DIED}));
    assert_int_equal(shadow.slots[0].address, 0x1000);
}

static void closing_frees_everything(void **unused)
{
    (void)unused;
    assert_holds(alloc(0, 0x1000, 8));
    shadow_crowd_add(&shadow, 0x2000, 8, 1);
    assert_holds(step(MODEL_CLOSE, 0, 0, (struct model_event){0}));
    assert_int_equal(shadow.slots[0].address, 0);
    assert_int_equal(shadow.freed[0].address, 0x1000);
    assert_int_equal(shadow.crowd_count, 0);
    assert_null(shadow_find(&shadow, 0x2000));
    assert_holds(alloc(0, 0x1000, 8));
}

static void access_is_remembered(void **unused)
{
    (void)unused;
    assert_holds(alloc(0, 0x1000, 8));
    assert_int_equal(shadow.slots[0].access, SECRET_ACCESS_READ_WRITE);
    assert_holds(step(MODEL_PROTECT, 0, SECRET_ACCESS_NONE, (struct model_event){0}));
    assert_int_equal(shadow.slots[0].access, SECRET_ACCESS_NONE);
    assert_holds(refused(MODEL_PROTECT, 0, EINVAL, 0));
    assert_int_equal(shadow.slots[0].access, SECRET_ACCESS_NONE);
}

/* ---------------------------------------------------------------------------------------- crowd */

static void the_crowd_is_judged_once_it_stands(void **unused)
{
    struct model_event event = {.count = 2};
    (void)unused;
    shadow_crowd_add(&shadow, 0x1000, 16, 1);
    shadow_crowd_add(&shadow, 0x1010, 16, 2);
    assert_holds(step(MODEL_CROWD, 0, 1, event));
    assert_broken(alloc(0, 0x1010, 16), "sizes");
    shadow_crowd_add(&shadow, 0x1000, 16, 3);
    shadow_crowd_add(&shadow, 0x2000, 16, 4);
    assert_broken(step(MODEL_CROWD, 0, 1, event), "sizes");
    assert_holds(step(MODEL_CROWD, 0, 1, event)); /* told once */
    shadow_crowd_add(&shadow, 0x3008, 16, 5);
    assert_broken(step(MODEL_CROWD, 0, 1, event), "alignment");
    event.outcome = MODEL_TRAPPED;
    assert_broken(step(MODEL_CROWD, 0, 1, event), "sizes");
}

/* Against the plainest possible oracle: a list that is searched from end to end. */
static bool overlaps_any(uintptr_t at, size_t size)
{
    for (size_t i = 0; i < shadow.crowd_count; i++) {
        const struct shadow_secret *c = &crowd[i];
        size_t span = c->usable_bytes == 0 ? 1 : c->usable_bytes;
        if (c->address != 0 && at < c->address + span && c->address < at + (size == 0 ? 1 : size))
            return true;
    }
    return false;
}

static uint32_t any(uint32_t limit)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 33) % limit;
}

static void random_crowds_are_judged_as_a_plain_list_would(void **unused)
{
    size_t seen = 0, clean = 0;
    (void)unused;
    for (int round = 0; round < 20000; round++) {
        uintptr_t at = 0x10000 + 16u * any(4096);
        size_t size = any(8) == 0 ? 0 : any(200);
        bool overlap = overlaps_any(at, size);
        shadow_crowd_add(&shadow, at, size, 1);
        assert_int_equal(overlap, shadow.crowd_violation.promise_id != NULL);
        *(overlap ? &seen : &clean) += 1;
        shadow.crowd_violation.promise_id = NULL;
        if (overlap) /* keep the list disjoint, as the tree is */
            shadow_crowd_forget(&shadow, shadow.crowd_count - 1);
        if (shadow.crowd_count > 300)
            for (size_t i = 0; i < 200; i++)
                shadow_crowd_forget(&shadow, any(300));
        shadow_crowd_close_gaps(&shadow);
    }
    assert_true(seen > 1000 && clean > 1000);
}

static void a_great_crowd_is_no_burden(void **unused)
{
    (void)unused;
    /* In the orders in which allocators go through memory; a list would take minutes. */
    for (size_t i = 0; i < MODEL_CROWD_MAX; i++)
        shadow_crowd_add(&shadow, (i % 2 == 0 ? 0x10000000 + i * 64 : 0x40000000 - i * 64), 64, 1);
    assert_holds(step(MODEL_CROWD, 0, 17, (struct model_event){.count = MODEL_CROWD_MAX}));
    assert_broken(alloc(1, 0x10000000 + 48, 32), "sizes");
    for (size_t i = 0; i < MODEL_CROWD_MAX; i += 2)
        shadow_crowd_forget(&shadow, i);
    shadow_crowd_close_gaps(&shadow);
    assert_int_equal(shadow.crowd_count, MODEL_CROWD_MAX / 2);
    assert_holds(alloc(2, 0x10000000, 64));
    assert_non_null(shadow_find(&shadow, 0x40000000 - 64));
    assert_null(shadow_find(&shadow, 0x40000000 - 128));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(alignment_is_as_claimed_or_as_mallocs, fresh),
        cmocka_unit_test_setup(alignment_is_as_asked_for, fresh),
        cmocka_unit_test_setup(usable_is_at_least_what_was_asked_for, fresh),
        cmocka_unit_test_setup(memory_does_not_wrap, fresh),
        cmocka_unit_test_setup(live_secrets_do_not_overlap, fresh),
        cmocka_unit_test_setup(slack_counts_as_the_secrets_own, fresh),
        cmocka_unit_test_setup(empty_secrets_have_places_of_their_own, fresh),
        cmocka_unit_test_setup(a_resized_secret_may_stay_where_it_is, fresh),
        cmocka_unit_test_setup(a_refusal_has_an_errno, fresh),
        cmocka_unit_test_setup(memory_can_be_written, fresh),
        cmocka_unit_test_setup(a_refused_call_costs_no_quota, fresh),
        cmocka_unit_test_setup(quota_is_not_judged_while_calls_fail, fresh),
        cmocka_unit_test_setup(contents_stay, fresh),
        cmocka_unit_test_setup(damage_done_by_the_program_is_not_held_against_the_subject, fresh),
        cmocka_unit_test_setup(the_known_part_shrinks_with_the_secret, fresh),
        cmocka_unit_test_setup(what_was_skipped_or_died_changes_nothing, fresh),
        cmocka_unit_test_setup(closing_frees_everything, fresh),
        cmocka_unit_test_setup(access_is_remembered, fresh),
        cmocka_unit_test_setup(the_crowd_is_judged_once_it_stands, fresh),
        cmocka_unit_test_setup(random_crowds_are_judged_as_a_plain_list_would, fresh),
        cmocka_unit_test_setup(a_great_crowd_is_no_burden, fresh),
    };
    crowd = calloc(MODEL_CROWD_MAX, sizeof *crowd);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(crowd);
    return failed;
}
