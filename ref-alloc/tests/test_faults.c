/*
 * Every system call fails, one after the other: the Nth call of a scenario, once or from then on, before it took
 * effect or after it did. For each: no crash, nothing weaker, secrets whole, and the quota is back afterwards.
 */
#include "wrapped.h"

#include "heap.h"

enum mode { ONCE, FROM_THEN_ON, ONCE_AFTER_EFFECT, FROM_THEN_ON_AFTER_EFFECT, MODES };

static struct {
    bool armed;
    long only; /* this call, if not 0 */
    enum mode mode;
    int error;
    size_t nth, count;
} fault;

static bool meanwhile;

/* Of the calls that bring the pages of one span one by one (os_populate), every fourth is enough. */
static bool is_one_of_many(long number, long address, long size)
{
    return number == SYS_getrandom && size == 1 && (uintptr_t)address / PAGE % 4 != 1;
}

static bool may_fail(long number)
{
    return number != SYS_ppoll && number != SYS_sched_yield && number != SYS_close;
}

static bool fails_now(void)
{
    size_t n = fault.count++;
    bool once = fault.mode == ONCE || fault.mode == ONCE_AFTER_EFFECT;
    return once ? n == fault.nth : n >= fault.nth;
}

static UNSANITIZED long answer(long number, const long *arguments)
{
    if (meanwhile) {
        meanwhile = false;
        assert_non_null(ref_alloc_default_heap());
    }
    bool fails = fault.armed && may_fail(number) && (fault.only == 0 || fault.only == number) &&
                 !is_one_of_many(number, arguments[0], arguments[1]) && fails_now();
    bool after = fault.mode == ONCE_AFTER_EFFECT || fault.mode == FROM_THEN_ON_AFTER_EFFECT;
    /* A mapping that nobody was told of would be a leak of the test's making. */
    bool maps = number == SYS_memfd_secret || number == MAP_CALL;
    if (fails && !(after && !maps)) {
        errno = fault.error;
        return -1;
    }
    long result = really(number, arguments);
    if (!fails)
        return result;
    errno = fault.error;
    return -1;
}

/* ---- the scenarios: each step may fail, and says so by NULL or false ---- */

#define KEPT 3
static struct ref_alloc_heap *heap;
static size_t before_open;
static unsigned char *kept[KEPT];
static const size_t kept_sizes[KEPT] = {32, 3000, 9000};

static void open_and_close(struct ref_alloc_config config)
{
    struct ref_alloc_heap *other = NULL;
    if (!ref_alloc_open(&config, &other))
        return;
    for (size_t size = 1; size < 100000; size *= 20)
        ref_alloc_allocate(other, size); /* what is alive is wiped by close */
    if (!ref_alloc_close(other)) {
        fault.armed = false;
        assert_true(ref_alloc_close(other));
    }
}

static void use(unsigned char *secret, size_t size_bytes)
{
    if (secret == NULL) {
        assert_int_not_equal(errno, 0);
        return;
    }
    assert_true(all_bytes_are(secret, size_bytes, 0));
    memset(secret, 0x61, size_bytes);
    ref_alloc_free(heap, secret);
}

static void allocate_and_free(void)
{
    const size_t sizes[] = {1, 40, 500, 2500, 4096, 12000, 100000};
    for (size_t i = 0; i < 7; i++) {
        errno = 0;
        use(ref_alloc_allocate(heap, sizes[i]), sizes[i]);
    }
}

static void resize(void)
{
    unsigned char *secret = ref_alloc_allocate(heap, 20);
    for (size_t size = 20; secret != NULL && size < 50000; size *= 3) {
        memset(secret, 0x62, size);
        unsigned char *larger = ref_alloc_resize(heap, secret, size * 3);
        if (larger == NULL) {
            assert_true(all_bytes_are(secret, size, 0x62));
            break;
        }
        assert_true(all_bytes_are(larger, size, 0x62) && all_bytes_are(larger + size, 2 * size, 0));
        secret = larger;
    }
    ref_alloc_free(heap, secret);
}

static void protect(void)
{
    unsigned char *secret = ref_alloc_aligned(heap, PAGE, 2 * PAGE);
    if (secret == NULL)
        return;
    secret[0] = 1;
    ref_alloc_protect(heap, secret, REF_ALLOC_ACCESS_READ);
    ref_alloc_protect(heap, secret, REF_ALLOC_ACCESS_NONE);
    ref_alloc_free(heap, secret);
    use(ref_alloc_allocate(heap, 5 * PAGE), 5 * PAGE); /* tries again to give back what is stuck */
}

/* Fills the budget, so that resting spans are given back, and empties it again. */
static void fill(void)
{
    void *secrets[40];
    size_t count = 0;
    while (count < 40 &&
           (secrets[count] = ref_alloc_allocate(heap, 2500 + count % 2 * 4096)) != NULL)
        count++;
    while (count > 0)
        ref_alloc_free(heap, secrets[--count]);
}

/* Long secrets, until the addresses of the first are given up. */
static void long_secrets(void)
{
    for (size_t i = 0; i < 6; i++)
        use(ref_alloc_allocate(heap, (17 + i) * PAGE), (17 + i) * PAGE);
}

/* What is known of spans and slabs needs new memory, too. */
static void metadata_runs_out(void)
{
    for (size_t size = 16; size <= 16 * PAGE; size *= 2) {
        heap->metadata.left_bytes = 0;
        use(ref_alloc_allocate(heap, size), size);
    }
}

static void (*const scenarios[])(void) = {allocate_and_free, resize,           protect, fill,
                                          long_secrets,      metadata_runs_out};

/* ---- the search ---- */

static void open_heap_with_kept(struct ref_alloc_config config)
{
    before_open = locked_in_kernel();
    heap = open_heap(config);
    for (size_t i = 0; i < KEPT; i++) {
        kept[i] = ref_alloc_allocate(heap, kept_sizes[i]);
        assert_non_null(kept[i]);
        memset(kept[i], 0x44, kept_sizes[i]);
    }
}

/* After the faults: the kept secrets are whole, all of the budget can be had, and the locks agree. */
static void check_and_close(size_t budget_bytes)
{
    for (size_t i = 0; i < KEPT; i++)
        assert_true(all_bytes_are(kept[i], kept_sizes[i], 0x44));
    assert_true(ref_alloc_validate(heap));
    for (size_t i = 0; i < KEPT; i++)
        ref_alloc_free(heap, kept[i]);
    void *whole = ref_alloc_allocate(heap, budget_bytes);
    assert_non_null(whole);
    assert_int_equal(locked_by(heap), budget_bytes);
    if (kernel_tells_locks())
        assert_int_equal(locked_in_kernel() - before_open, budget_bytes);
    ref_alloc_free(heap, whole);
    assert_true(ref_alloc_validate(heap));
    assert_true(ref_alloc_close(heap));
    if (kernel_tells_locks())
        assert_int_equal(locked_in_kernel(), before_open);
}

/* true if the scenario was over before the Nth call. */
static bool run(struct ref_alloc_config config, void (*scenario)(void), enum mode mode, int error,
                size_t nth)
{
    open_heap_with_kept(config);
    fault.mode = mode;
    fault.error = error;
    fault.nth = nth;
    fault.count = 0;
    fault.armed = true;
    scenario();
    fault.armed = false;
    bool over = fault.count <= nth;
    check_and_close(config.lock_budget_bytes);
    return over;
}

/* The limit's own answer, and any other. What the second one leads to does not depend on the kind of memory. */
static const int errors[] = {ENOMEM, EPERM};

static void search(struct ref_alloc_config config, size_t error_count)
{
    config.lock_budget_bytes = 32 * PAGE;
    config.quarantine_spans = 2;
    for (size_t s = 0; s < sizeof(scenarios) / sizeof(scenarios[0]); s++)
        for (enum mode mode = ONCE; mode < MODES; mode++)
            for (size_t e = 0; e < error_count; e++)
                for (size_t nth = 0; !run(config, scenarios[s], mode, errors[e], nth); nth++)
                    assert_true(nth < 1000);
}

static void guarded(void **state)
{
    (void)state;
    search((struct ref_alloc_config){.placement = REF_ALLOC_PLACEMENT_GUARDED}, 2);
}

static void packed(void **state)
{
    (void)state;
    search((struct ref_alloc_config){.placement = REF_ALLOC_PLACEMENT_PACKED}, 2);
}

static void absent_in_child(void **state)
{
    (void)state;
    search((struct ref_alloc_config){.fork = REF_ALLOC_FORK_ABSENT}, 1);
}

static void secret_memory(void **state)
{
    (void)state;
    struct ref_alloc_config config = {.secret_memory = true};
    struct ref_alloc_heap *probe;
    if (!ref_alloc_open(&config, &probe))
        skip();
    assert_true(ref_alloc_close(probe));
    search(config, 1);
}

static void at_abort(int signal_number)
{
    fault.armed = false;
    LEAVE(signal_number);
}

/* A secret that could not be wiped, because its page could not be opened, is wiped by close. */
static void closed_with_a_stuck_secret(void **state)
{
    (void)state;
    heap = open_heap((struct ref_alloc_config){.placement = REF_ALLOC_PLACEMENT_GUARDED});
    unsigned char *secret = ref_alloc_allocate(heap, 2 * PAGE);
    assert_true(ref_alloc_protect(heap, secret, REF_ALLOC_ACCESS_NONE));
    fault.mode = FROM_THEN_ON;
    fault.error = ENOMEM;
    fault.nth = fault.count = 0;
    fault.armed = true;
    ref_alloc_free(heap, secret);
    assert_false(ref_alloc_close(heap)); /* it can't be opened now, either */
    fault.armed = false;
    assert_true(ref_alloc_close(heap));
}

/* memfd_secret memory that was given up half built, and whose place could not be prepared anew. */
static void closed_with_a_place_that_lost_its_advice(void **state)
{
    (void)state;
    const struct ref_alloc_config config = {.placement = REF_ALLOC_PLACEMENT_GUARDED,
                                            .secret_memory = true};
    for (fault.nth = 0; fault.nth < 4; fault.nth++) {
        if (!ref_alloc_open(&config, &heap))
            skip();
        assert_non_null(ref_alloc_allocate(heap, 100));
        fault.mode = FROM_THEN_ON;
        fault.error = EINVAL;
        fault.only = SYS_madvise;
        fault.count = 0;
        fault.armed = true;
        ref_alloc_allocate(heap, 4 * PAGE);
        fault.armed = false;
        fault.only = 0;
        assert_true(ref_alloc_validate(heap));
        assert_true(ref_alloc_close(heap));
    }
}

/* The one call of mmap that maps memfd_secret memory fails, and then the place cannot be reserved again: nothing is locked. */
static void what_was_never_locked_is_not_counted(void **state)
{
    (void)state;
    const struct ref_alloc_config config = {.placement = REF_ALLOC_PLACEMENT_GUARDED,
                                            .secret_memory = true};
    before_open = locked_in_kernel();
    for (fault.nth = 0;; fault.nth++) {
        if (!ref_alloc_open(&config, &heap))
            skip();
        fault.mode = FROM_THEN_ON;
        fault.error = EINTR;
        fault.count = 0;
        fault.only = MAP_CALL;
        fault.armed = true;
        void *secret = ref_alloc_allocate(heap, 5 * PAGE);
        fault.armed = false;
        fault.only = 0;
        if (kernel_tells_locks())
            assert_int_equal(locked_by(heap), locked_in_kernel() - before_open);
        assert_true(ref_alloc_validate(heap));
        ref_alloc_free(heap, secret);
        use(ref_alloc_allocate(heap, 5 * PAGE), 5 * PAGE);
        assert_true(ref_alloc_validate(heap));
        assert_true(ref_alloc_close(heap));
        if (fault.count <= fault.nth)
            return;
    }
}

/* A quarantine that needs more than one chunk, of which any call may fail. */
static void large_quarantine(void **state)
{
    (void)state;
    struct ref_alloc_config config = {.placement = REF_ALLOC_PLACEMENT_GUARDED,
                                      .quarantine_spans = 130,
                                      .lock_budget_bytes = 160 * PAGE};
    fault.mode = ONCE;
    fault.error = ENOMEM;
    for (fault.nth = 0;; fault.nth += 1 + fault.nth / 8 * (fault.nth < 360)) {
        heap = open_heap(config);
        fault.count = 0;
        fault.armed = true;
        use(ref_alloc_allocate(heap, 32), 32);
        fault.armed = false;
        assert_true(ref_alloc_validate(heap));
        assert_true(ref_alloc_close(heap));
        if (fault.count <= fault.nth)
            return;
    }
}

/* Only what the kernel refused to lock is counted, each time. */
static void failed_locks_are_counted(void **state)
{
    (void)state;
    struct ref_alloc_statistics statistics;
    heap = open_heap((struct ref_alloc_config){.placement = REF_ALLOC_PLACEMENT_GUARDED,
                                               .lock_budget_bytes = 8 * PAGE});
    assert_null(ref_alloc_allocate(heap, 9 * PAGE)); /* refused by us */
    assert_true(ref_alloc_statistics(heap, &statistics));
    assert_int_equal(statistics.failed_locks, 0);
    fault.mode = FROM_THEN_ON;
    fault.error = EAGAIN;
    fault.nth = fault.count = 0;
    fault.only = SYS_mlock;
    fault.armed = true;
    for (size_t i = 1; i <= 3; i++) {
        assert_null(ref_alloc_allocate(heap, 32));
        assert_int_equal(errno, EAGAIN);
        assert_true(ref_alloc_statistics(heap, &statistics));
        assert_int_equal(statistics.failed_locks, i);
        assert_int_equal(statistics.locked_bytes + statistics.live_secrets, 0);
    }
    fault.armed = false;
    fault.only = 0;
    use(ref_alloc_allocate(heap, 32), 32);
    assert_true(ref_alloc_validate(heap));
    assert_true(ref_alloc_close(heap));
}

/* Every function with the default heap, when it can't be created. */
static void no_default_heap(void **state)
{
    (void)state;
    static unsigned char nothing;
    struct ref_alloc_statistics statistics;
    fault.mode = FROM_THEN_ON;
    fault.error = ENOMEM;
    fault.nth = fault.count = 0;
    fault.armed = true;
    assert_null(ref_alloc_default_heap());
    assert_int_equal(errno, ENOMEM);
    assert_null(ref_alloc_allocate(NULL, 1));
    assert_null(ref_alloc_zeroed(NULL, 1, 1));
    assert_null(ref_alloc_aligned(NULL, 16, 1));
    assert_null(ref_alloc_resize(NULL, NULL, 1));
    assert_null(ref_alloc_resize(NULL, &nothing, 1));
    assert_int_equal(ref_alloc_usable_bytes(NULL, &nothing), 0);
    assert_false(ref_alloc_protect(NULL, &nothing, REF_ALLOC_ACCESS_READ));
    assert_false(ref_alloc_statistics(NULL, &statistics));
    assert_false(ref_alloc_validate(NULL));
    fault.armed = false;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, at_abort);
        fault.armed = true;
        ref_alloc_free(NULL, &nothing); /* no heap has ever given it out */
        LEAVE(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == SIGABRT);
}

/* Another thread opens the default heap while this one does: seen from the midst of a system call of this one. */
static void default_heap_opened_meanwhile(void **state)
{
    (void)state;
    meanwhile = true;
    struct ref_alloc_heap *default_heap = ref_alloc_default_heap();
    assert_false(meanwhile);
    assert_ptr_equal(default_heap, ref_alloc_default_heap());
    assert_true(ref_alloc_close(NULL));
}

static void opening_and_closing(void **state)
{
    (void)state;
    before_open = locked_in_kernel();
    for (int secret = 0; secret < 2; secret++)
        for (enum mode mode = ONCE; mode < MODES; mode++)
            for (size_t nth = 0;; nth++) {
                fault.mode = mode;
                fault.error = ENOMEM;
                fault.nth = nth;
                fault.count = 0;
                fault.armed = true;
                open_and_close((struct ref_alloc_config){.secret_memory = secret != 0});
                fault.armed = false;
                if (kernel_tells_locks())
                    assert_int_equal(locked_in_kernel(), before_open);
                if (fault.count <= nth)
                    break;
            }
}

static void aborted(int signal_number)
{
    (void)signal_number;
    LEAVE(7);
}

/* What no heap can have given out is a misuse, and ends in an abort. */
static void freed_where_no_heap_can_be(void **state)
{
    (void)state;
    int status;
    char byte = 0;
    pid_t child = fork();
    if (child == 0) {
        fault.mode = FROM_THEN_ON;
        fault.error = ENOMEM;
        fault.armed = true;
        signal(SIGABRT, aborted);
        ref_alloc_free(NULL, &byte);
        LEAVE(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(freed_where_no_heap_can_be), /* first: the process has no heap yet */
        cmocka_unit_test(opening_and_closing),        /* and here */
        cmocka_unit_test(no_default_heap),
        cmocka_unit_test(default_heap_opened_meanwhile),
        cmocka_unit_test(closed_with_a_stuck_secret),
        cmocka_unit_test(closed_with_a_place_that_lost_its_advice),
        cmocka_unit_test(what_was_never_locked_is_not_counted),
        cmocka_unit_test(large_quarantine),
        cmocka_unit_test(failed_locks_are_counted),
        cmocka_unit_test(guarded),
        cmocka_unit_test(packed),
        cmocka_unit_test(absent_in_child),
        cmocka_unit_test(secret_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
