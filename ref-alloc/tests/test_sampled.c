/*
 * test_sampled.c - a sample of test_faults.c that takes a second, not twenty: the first failing calls of each
 * scenario, then ever fewer. For mutants (tools/mutants), of which most that it kills die here.
 */
int test_faults_main(void);
#define main test_faults_main
#include "test_faults.c"
#undef main

static void sample(struct ref_alloc_config config)
{
    config.lock_budget_bytes = 32 * PAGE;
    config.quarantine_spans = 2;
    for (size_t s = 0; s < sizeof(scenarios) / sizeof(scenarios[0]); s++)
        for (enum mode mode = ONCE; mode < MODES; mode += s % 2 == 0 ? 2U : 1U)
            for (size_t nth = 0; !run(config, scenarios[s], mode, s % 2 == 0 ? ENOMEM : EPERM, nth);
                 nth += 1 + nth / 4)
                ;
}

static void guarded_sampled(void **state)
{
    (void)state;
    sample((struct ref_alloc_config){.placement = REF_ALLOC_PLACEMENT_GUARDED});
}

static void packed_sampled(void **state)
{
    (void)state;
    sample((struct ref_alloc_config){.placement = REF_ALLOC_PLACEMENT_PACKED});
}

static void secret_memory_sampled(void **state)
{
    (void)state;
    struct ref_alloc_config config = {.secret_memory = true};
    struct ref_alloc_heap *probe;
    if (!ref_alloc_open(&config, &probe))
        return; /* where there is none test_faults says so */
    assert_true(ref_alloc_close(probe));
    sample(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening_and_closing),
        cmocka_unit_test(no_default_heap),
        cmocka_unit_test(default_heap_opened_meanwhile),
        cmocka_unit_test(closed_with_a_stuck_secret),
        cmocka_unit_test(guarded_sampled),
        cmocka_unit_test(packed_sampled),
        cmocka_unit_test(secret_memory_sampled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
