/* What a heap promises while it is used as it should be. */
#include "support.h"

#include <sys/resource.h>

#include "os.h"

static const enum ref_alloc_placement placements[] = {REF_ALLOC_PLACEMENT_GUARDED,
                                                      REF_ALLOC_PLACEMENT_PACKED};
#define EACH_PLACEMENT(name)                                                                \
    for (size_t i_ = 0; i_ < 2; i_++)                                                       \
        for (enum ref_alloc_placement name = placements[i_], *once_ = &name; once_ != NULL; \
             once_ = NULL)

static size_t before_open;

static struct ref_alloc_heap *open_at(enum ref_alloc_placement placement, size_t budget_bytes)
{
    before_open = locked_in_kernel();
    return open_heap(
        (struct ref_alloc_config){.placement = placement, .lock_budget_bytes = budget_bytes});
}

static void assert_locks_agree(struct ref_alloc_heap *heap)
{
    if (kernel_tells_locks())
        assert_int_equal(locked_in_kernel() - before_open, locked_by(heap));
    assert_true(ref_alloc_validate(heap));
}

static void close_heap(struct ref_alloc_heap *heap)
{
    assert_true(ref_alloc_close(heap));
    if (kernel_tells_locks())
        assert_int_equal(locked_in_kernel(), before_open);
}

static const size_t sizes[] = {0,    1,    7,     8,     15,    16,    17,    31,    32,
                               33,   63,   64,    100,   255,   256,   257,   1000,  2039,
                               2040, 2041, 2048,  4080,  4081,  4095,  4096,  4097,  8191,
                               8192, 8193, 16384, 32769, 65535, 65536, 65537, 200000};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static void every_size_is_usable_and_zero(void **state)
{
    (void)state;
    EACH_PLACEMENT(placement)
    {
        struct ref_alloc_heap *heap = open_at(placement, 0);
        for (size_t round = 0; round < 3; round++) {
            unsigned char *secrets[SIZES];
            for (size_t i = 0; i < SIZES; i++) {
                secrets[i] = ref_alloc_allocate(heap, sizes[i]);
                assert_non_null(secrets[i]);
                assert_int_equal((uintptr_t)secrets[i] % 16, 0);
                assert_int_equal(ref_alloc_usable_bytes(heap, secrets[i]), sizes[i]);
                assert_true(all_bytes_are(secrets[i], sizes[i], 0));
                memset(secrets[i], (int)i + 1, sizes[i]);
                assert_locks_agree(heap);
            }
            for (size_t i = 0; i < SIZES; i++) {
                assert_true(all_bytes_are(secrets[i], sizes[i], (unsigned char)(i + 1)));
                ref_alloc_free(heap, secrets[i]);
                assert_locks_agree(heap);
            }
        }
        close_heap(heap);
    }
}

static void impossible_sizes_fail(void **state)
{
    (void)state;
    EACH_PLACEMENT(placement)
    {
        struct ref_alloc_heap *heap = open_at(placement, 1 << 20);
        for (size_t below = 0; below < 70000; below += 97) {
            errno = 0;
            assert_null(ref_alloc_allocate(heap, SIZE_MAX - below));
            assert_int_equal(errno, ENOMEM);
        }
        assert_null(ref_alloc_allocate(heap, SIZE_MAX / 2));
        assert_null(ref_alloc_allocate(heap, (1 << 20) + 1));
        assert_null(ref_alloc_zeroed(heap, SIZE_MAX / 2, 3));
        assert_int_equal(errno, ENOMEM);
        assert_int_equal(locked_by(heap), 0);
        close_heap(heap);
    }
}

static void alignment_is_kept(void **state)
{
    (void)state;
    EACH_PLACEMENT(placement)
    {
        struct ref_alloc_heap *heap = open_at(placement, 0);
        for (size_t align = 1; align <= PAGE; align *= 2) {
            for (size_t size = 0; size < 2 * PAGE; size = size * 2 + 1) {
                unsigned char *secret = ref_alloc_aligned(heap, align, size);
                assert_non_null(secret);
                assert_int_equal((uintptr_t)secret % align, 0);
                assert_int_equal((uintptr_t)secret % REF_ALLOC_DEFAULT_ALIGN_BYTES, 0);
                memset(secret, 1, size);
                secret = ref_alloc_resize(heap, secret, size + 500);
                assert_non_null(secret);
                assert_int_equal((uintptr_t)secret % align, 0);
                assert_int_equal((uintptr_t)secret % REF_ALLOC_DEFAULT_ALIGN_BYTES, 0);
                assert_true(all_bytes_are(secret, size, 1));
                assert_true(all_bytes_are(secret + size, 500, 0));
                ref_alloc_free(heap, secret);
            }
        }
        const size_t bad[] = {0, 3, 24, 2 * PAGE, SIZE_MAX};
        for (size_t i = 0; i < 5; i++) {
            errno = 0;
            assert_null(ref_alloc_aligned(heap, bad[i], 32));
            assert_int_equal(errno, EINVAL);
        }
        close_heap(heap);
    }
}

static void resize_keeps_contents_and_leaves_no_tail(void **state)
{
    (void)state;
    EACH_PLACEMENT(placement)
    {
        struct ref_alloc_heap *heap = open_at(placement, 0);
        for (size_t i = 0; i < SIZES; i++) {
            for (size_t j = 0; j < SIZES; j++) {
                unsigned char *secret = ref_alloc_allocate(heap, sizes[i]);
                memset(secret, 0x5a, sizes[i]);
                unsigned char *resized = ref_alloc_resize(heap, secret, sizes[j]);
                assert_non_null(resized);
                size_t kept = sizes[i] < sizes[j] ? sizes[i] : sizes[j];
                assert_true(all_bytes_are(resized, kept, 0x5a));
                assert_true(all_bytes_are(resized + kept, sizes[j] - kept, 0));
                assert_int_equal(ref_alloc_usable_bytes(heap, resized), sizes[j]);
                ref_alloc_free(heap, resized);
            }
            assert_locks_agree(heap);
        }
        void *fresh = ref_alloc_resize(heap, NULL, 10);
        assert_non_null(fresh);
        ref_alloc_free(heap, fresh);
        ref_alloc_free(heap, NULL);
        close_heap(heap);
    }
}

static void failed_resize_leaves_the_secret(void **state)
{
    (void)state;
    EACH_PLACEMENT(placement)
    {
        struct ref_alloc_heap *heap = open_at(placement, 2 * PAGE);
        unsigned char *secret = ref_alloc_allocate(heap, 100);
        memset(secret, 7, 100);
        errno = 0;
        assert_null(ref_alloc_resize(heap, secret, 3 * PAGE));
        assert_int_equal(errno, ENOMEM);
        assert_null(ref_alloc_resize(heap, secret, SIZE_MAX));
        assert_true(all_bytes_are(secret, 100, 7));
        assert_int_equal(ref_alloc_usable_bytes(heap, secret), 100);
        assert_locks_agree(heap);
        ref_alloc_free(heap, secret);
        close_heap(heap);
    }
}

static void the_limit_is_fully_usable(void **state)
{
    (void)state;
    const size_t budget = 16 * PAGE;
    void *secrets[17];
    struct ref_alloc_heap *heap = open_at(REF_ALLOC_PLACEMENT_GUARDED, budget);
    for (size_t round = 0; round < 5; round++) {
        for (size_t i = 0; i < 16; i++)
            assert_non_null(secrets[i] = ref_alloc_allocate(heap, 32));
        assert_int_equal(locked_by(heap), budget);
        assert_null(ref_alloc_allocate(heap, 1));
        assert_int_equal(errno, ENOMEM);
        ref_alloc_free(heap, secrets[3]);
        void *again = ref_alloc_allocate(heap, 32);
        assert_ptr_not_equal(again,
                             secrets[3]); /* nor at the limit is an address given out at once */
        ref_alloc_free(heap, again);
        assert_null(ref_alloc_allocate(heap, PAGE + 1));
        assert_locks_agree(heap);
        assert_non_null(secrets[3] = ref_alloc_allocate(heap, PAGE));
        for (size_t i = 0; i < 16; i++)
            ref_alloc_free(heap, secrets[i]);
        assert_locks_agree(heap);
        /* All of it as one secret, which needs every resting page back. */
        assert_non_null(secrets[16] = ref_alloc_allocate(heap, budget));
        assert_locks_agree(heap);
        ref_alloc_free(heap, secrets[16]);
    }
    close_heap(heap);
}

static size_t count_until_full(struct ref_alloc_config config, size_t size_bytes)
{
    size_t count = 0;
    struct ref_alloc_heap *heap = open_heap(config);
    while (ref_alloc_allocate(heap, size_bytes) != NULL)
        count++;
    assert_int_equal(errno, ENOMEM);
    assert_true(ref_alloc_validate(heap));
    assert_true(ref_alloc_close(heap)); /* with all of them alive */
    return count;
}

static void packed_density(void **state)
{
    (void)state;
    struct ref_alloc_config config = {.placement = REF_ALLOC_PLACEMENT_PACKED,
                                      .lock_budget_bytes = 65536};
    before_open = locked_in_kernel();
    assert_true(count_until_full(config, 32) >= 1360);
    config.without_canary = true;
    assert_true(count_until_full(config, 32) >= 2000);
    if (kernel_tells_locks())
        assert_int_equal(locked_in_kernel(), before_open);
}

static void empty_slabs_do_not_crowd_out(void **state)
{
    (void)state;
    struct ref_alloc_heap *heap = open_at(REF_ALLOC_PLACEMENT_PACKED, 4 * PAGE);
    void *secrets[2000];
    for (size_t size = 1; size < PAGE; size = size * 3 / 2 + 1) {
        size_t count = 0;
        while (count < 2000 && (secrets[count] = ref_alloc_allocate(heap, size)) != NULL)
            count++;
        assert_true(count >= 4);
        while (count > 0)
            ref_alloc_free(heap, secrets[--count]);
        assert_locks_agree(heap);
    }
    void *whole = ref_alloc_allocate(heap, 4 * PAGE);
    assert_non_null(whole);
    ref_alloc_free(heap, whole);
    close_heap(heap);
}

static void equal_rounds_never_raise_the_locks(void **state)
{
    (void)state;
    EACH_PLACEMENT(placement)
    {
        struct ref_alloc_heap *heap = open_at(placement, 0);
        size_t count = PAGE <= 8192 ? 200 : 35; /* of larger pages fewer fit under a usual limit */
        void *secrets[200];
        size_t plateau = 0;
        for (size_t round = 0; round < 30; round++) {
            for (size_t i = 0; i < count; i++)
                assert_non_null(secrets[i] = ref_alloc_allocate(heap, sizes[(i * 7) % SIZES]));
            for (size_t i = 0; i < count; i++)
                ref_alloc_free(heap, secrets[i]);
            if (round == 0)
                plateau = locked_by(heap);
            if (round > 0)
                assert_true(locked_by(heap) <= plateau);
        }
        assert_locks_agree(heap);
        close_heap(heap);
    }
}

static void guards_trap(void **state)
{
    (void)state;
    struct ref_alloc_heap *heap = open_at(REF_ALLOC_PLACEMENT_GUARDED, 0);
    for (size_t i = 0; i < SIZES; i++) {
        unsigned char *secret = ref_alloc_allocate(heap, sizes[i]);
        size_t rounded = (sizes[i] + 15) / 16 * 16;
        assert_true(traps(secret + rounded, false));
        if (sizes[i] > 0) {
            assert_false(traps(secret, true));
            assert_false(traps(secret + sizes[i] - 1, true));
        }
        assert_true(traps(secret - PAGE - 16, false) || sizes[i] > PAGE);
        ref_alloc_free(heap, secret);
        if (sizes[i] > 0)
            assert_true(traps(secret, false));
    }
    close_heap(heap);
}

static void freed_spans_rest(void **state)
{
    (void)state;
    struct ref_alloc_heap *heap = open_at(REF_ALLOC_PLACEMENT_GUARDED, 0);
    unsigned char *first = ref_alloc_allocate(heap, 32);
    ref_alloc_free(heap, first);
    for (size_t i = 0; i < 8; i++) {
        unsigned char *other = ref_alloc_allocate(heap, 32);
        assert_ptr_not_equal(other, first);
        assert_true(traps(first, true));
        ref_alloc_free(heap, other);
    }
    close_heap(heap);
}

static void access_is_enforced(void **state)
{
    (void)state;
    struct ref_alloc_heap *heap = open_at(REF_ALLOC_PLACEMENT_BY_SIZE, 0);
    const size_t guarded_sizes[] = {PAGE - 1, PAGE, 3 * PAGE, 20 * PAGE};
    for (size_t i = 0; i < 4; i++) {
        unsigned char *secret = ref_alloc_allocate(heap, guarded_sizes[i]);
        unsigned char *last = secret + guarded_sizes[i] - 1;
        memset(secret, 9, guarded_sizes[i]);
        assert_true(ref_alloc_protect(heap, secret, REF_ALLOC_ACCESS_READ));
        assert_false(traps(secret, false));
        assert_true(traps(secret, true) && traps(last, true));
        errno = 0;
        assert_null(ref_alloc_resize(heap, secret, 10));
        assert_int_equal(errno, EACCES);
        assert_true(ref_alloc_protect(heap, secret, REF_ALLOC_ACCESS_NONE));
        assert_true(traps(secret, false) && traps(last, false));
        assert_locks_agree(heap);
        assert_true(ref_alloc_protect(heap, secret, REF_ALLOC_ACCESS_READ_WRITE));
        assert_true(all_bytes_are(secret, guarded_sizes[i], 9));
        errno = 0;
        assert_false(ref_alloc_protect(heap, secret, (enum ref_alloc_access)77));
        assert_int_equal(errno, EINVAL);
        assert_true(ref_alloc_protect(heap, secret, REF_ALLOC_ACCESS_NONE));
        ref_alloc_free(heap, secret);
        assert_locks_agree(heap);
    }
    unsigned char *packed = ref_alloc_allocate(heap, 32);
    errno = 0;
    assert_false(ref_alloc_protect(heap, packed, REF_ALLOC_ACCESS_NONE));
    assert_int_equal(errno, ENOTSUP);
    assert_false(traps(packed, true));
    /* Closed with a secret that can't be read. */
    void *hidden = ref_alloc_allocate(heap, PAGE);
    assert_true(ref_alloc_protect(heap, hidden, REF_ALLOC_ACCESS_NONE));
    close_heap(heap);
}

static void statistics_add_up(void **state)
{
    (void)state;
    struct ref_alloc_statistics statistics;
    struct ref_alloc_heap *heap = open_heap((struct ref_alloc_config){.quarantine_spans = 1});
    before_open = locked_in_kernel() - locked_by(heap);
    void *small = ref_alloc_allocate(heap, 40), *large = ref_alloc_allocate(heap, 2 * PAGE);
    assert_true(ref_alloc_statistics(heap, &statistics));
    assert_int_equal(statistics.live_secrets, 2);
    assert_int_equal(statistics.live_bytes, 40 + 2 * PAGE);
    assert_int_equal(statistics.locked_bytes,
                     5 * PAGE); /* a slab, a span of two pages, one at rest */
    assert_int_equal(statistics.locked_high_water_bytes, 5 * PAGE);
    large = ref_alloc_resize(heap, large, 2 * PAGE - 100);
    small = ref_alloc_resize(heap, small, 33);
    assert_true(ref_alloc_statistics(heap, &statistics));
    assert_int_equal(statistics.live_bytes, 33 + 2 * PAGE - 100);
    ref_alloc_free(heap, small);
    ref_alloc_free(heap, large);
    assert_true(ref_alloc_statistics(heap, &statistics));
    assert_int_equal(statistics.live_secrets + statistics.live_bytes, 0);
    assert_int_equal(statistics.failed_locks, 0);
    close_heap(heap);
}

static void heaps_share_the_process_limit(void **state)
{
    (void)state;
    struct ref_alloc_heap *one = open_at(REF_ALLOC_PLACEMENT_GUARDED, 8 * PAGE), *two;
    two = open_heap((struct ref_alloc_config){.placement = REF_ALLOC_PLACEMENT_PACKED});
    void *a = ref_alloc_allocate(one, 8), *b = ref_alloc_allocate(two, 8);
    assert_non_null(a);
    assert_non_null(b);
    if (kernel_tells_locks())
        assert_int_equal(locked_in_kernel() - before_open, locked_by(one) + locked_by(two));
    assert_true(ref_alloc_close(one));
    assert_true(all_bytes_are(b, 8, 0));
    close_heap(two);
}

/* What rests in one heap, or is kept empty there, never stands in the way of another heap's secret. */
static void idle_memory_of_one_heap_is_another_ones(void **state)
{
    (void)state;
    struct rlimit usual, low;
    void *secrets[16];
    before_open = locked_in_kernel();
    assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &usual), 0);
    low = usual;
    low.rlim_cur = 16 * PAGE;
    assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &low), 0);
    struct ref_alloc_heap *heaps[4];
    for (size_t i = 0; i < 4; i++) {
        heaps[i] = open_heap((struct ref_alloc_config){.placement = placements[i % 2],
                                                       .lock_budget_bytes = i == 3 ? 2 * PAGE : 0});
        ref_alloc_free(heaps[i], ref_alloc_allocate(heaps[i], 32));
    }
    assert_true(locked_by(heaps[0]) > 0 && locked_by(heaps[1]) > 0);
    /* What a heap's own budget refuses costs the others nothing. */
    size_t resting_bytes = locked_by(heaps[0]);
    assert_null(ref_alloc_allocate(heaps[3], 3 * PAGE));
    assert_int_equal(locked_by(heaps[0]), resting_bytes);
    for (size_t i = 0; i < 16; i++)
        assert_non_null(secrets[i] = ref_alloc_allocate(heaps[2], PAGE));
    assert_int_equal(locked_by(heaps[2]), 16 * PAGE);
    assert_int_equal(locked_by(heaps[0]) + locked_by(heaps[1]) + locked_by(heaps[3]), 0);
    assert_null(ref_alloc_allocate(heaps[1], 1));
    assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &usual), 0);
    for (size_t i = 0; i < 16; i++)
        ref_alloc_free(heaps[2], secrets[i]);
    for (size_t i = 0; i < 4; i++) {
        assert_true(ref_alloc_validate(heaps[i]));
        assert_true(ref_alloc_close(heaps[i]));
    }
    if (kernel_tells_locks())
        assert_int_equal(locked_in_kernel(), before_open);
}

static void default_heap_comes_and_goes(void **state)
{
    (void)state;
    before_open = locked_in_kernel();
    assert_true(ref_alloc_close(NULL));
    for (int round = 0; round < 3; round++) {
        unsigned char *secret = ref_alloc_allocate(NULL, 32);
        assert_non_null(secret);
        assert_non_null(ref_alloc_default_heap());
        memset(secret, 1, 32);
        secret = ref_alloc_resize(NULL, secret, 3000);
        assert_true(all_bytes_are(secret, 32, 1));
        ref_alloc_free(ref_alloc_default_heap(), secret);
        assert_true(ref_alloc_validate(NULL));
        close_heap(NULL);
    }
}

/* By our own count: this holds with CAP_IPC_LOCK, too. */
static void the_process_limit_is_kept(void **state)
{
    (void)state;
    struct rlimit usual, low;
    assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &usual), 0);
    low = usual;
    low.rlim_cur = 6 * PAGE;
    EACH_PLACEMENT(placement)
    {
        void *secrets[7];
        size_t count = 0;
        struct ref_alloc_heap *heap = open_at(placement, 0);
        assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &low), 0);
        while (count < 7 && (secrets[count] = ref_alloc_allocate(heap, PAGE)) != NULL)
            count++;
        assert_int_equal(errno, ENOMEM);
        assert_int_equal(count, 6);
        assert_int_equal(locked_by(heap), 6 * PAGE);
        assert_null(ref_alloc_allocate(heap, 7 * PAGE));
        /* The limit is read again at each growth. */
        assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &usual), 0);
        assert_non_null(secrets[6] = ref_alloc_allocate(heap, PAGE));
        while (count > 0)
            ref_alloc_free(heap, secrets[--count]);
        ref_alloc_free(heap, secrets[6]);
        assert_locks_agree(heap);
        close_heap(heap);
    }
}

/* Longer than what is pooled: only their addresses rest, and then go. */
static void long_secrets_come_and_go(void **state)
{
    (void)state;
    struct ref_alloc_heap *heap = open_at(REF_ALLOC_PLACEMENT_GUARDED, 0);
    for (size_t i = 0; i < 30; i++) {
        unsigned char *secret = ref_alloc_allocate(heap, (17 + i % 3) * PAGE - 5);
        assert_non_null(secret);
        memset(secret, 1, 16 * PAGE);
        ref_alloc_free(heap, secret);
        assert_int_equal(locked_by(heap), 0);
        assert_true(traps(secret, false));
        assert_locks_agree(heap);
    }
    close_heap(heap);
}

static void zeroed_is_a_product(void **state)
{
    (void)state;
    unsigned char *secret = ref_alloc_zeroed(NULL, 7, 9);
    assert_non_null(secret);
    assert_int_equal(ref_alloc_usable_bytes(NULL, secret), 63);
    assert_int_equal(ref_alloc_usable_bytes(NULL, NULL), 0);
    ref_alloc_free(NULL, secret);
    assert_true(ref_alloc_close(NULL));
}

static void core_dumps_may_be_allowed(void **state)
{
    (void)state;
    for (int secret_memory = 0; secret_memory < 2; secret_memory++) {
        struct ref_alloc_config config = {.allow_core_dump = true,
                                          .secret_memory = secret_memory != 0};
        struct ref_alloc_heap *heap;
        if (!ref_alloc_open(&config, &heap))
            continue;
        void *secret = ref_alloc_allocate(heap, 32);
        assert_non_null(secret);
        ref_alloc_free(heap, secret);
        assert_true(ref_alloc_close(heap));
    }
}

static void bad_configs_are_refused(void **state)
{
    (void)state;
    struct ref_alloc_heap *heap = NULL;
    struct ref_alloc_config config = {.placement = (enum ref_alloc_placement)9};
    assert_false(ref_alloc_open(&config, &heap));
    assert_int_equal(errno, EINVAL);
    config = (struct ref_alloc_config){.fork = (enum ref_alloc_fork)9};
    assert_false(ref_alloc_open(&config, &heap));
    assert_int_equal(errno, EINVAL);
}

static void secret_memory_keeps_the_same_promises(void **state)
{
    (void)state;
    if (!os_has_secret_memory())
        skip();
    EACH_PLACEMENT(placement)
    {
        before_open = locked_in_kernel();
        struct ref_alloc_heap *heap = open_heap((struct ref_alloc_config){
            .placement = placement, .secret_memory = true, .lock_budget_bytes = 64 * PAGE});
        for (size_t round = 0; round < 3; round++) {
            for (size_t i = 0; i < SIZES && sizes[i] <= 65536; i++) {
                unsigned char *secret = ref_alloc_allocate(heap, sizes[i]);
                assert_non_null(secret);
                assert_true(all_bytes_are(secret, sizes[i], 0));
                memset(secret, 1, sizes[i]);
                assert_locks_agree(heap);
                ref_alloc_free(heap, secret);
                assert_locks_agree(heap);
            }
        }
        close_heap(heap);
    }
}

static void wipe_wipes(void **state)
{
    (void)state;
    unsigned char bytes[100];
    memset(bytes, 1, sizeof(bytes));
    ref_alloc_wipe(bytes + 1, 98);
    assert_true(bytes[0] == 1 && bytes[99] == 1 && all_bytes_are(bytes + 1, 98, 0));
    ref_alloc_wipe(NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_is_usable_and_zero),
        cmocka_unit_test(impossible_sizes_fail),
        cmocka_unit_test(alignment_is_kept),
        cmocka_unit_test(resize_keeps_contents_and_leaves_no_tail),
        cmocka_unit_test(failed_resize_leaves_the_secret),
        cmocka_unit_test(the_limit_is_fully_usable),
        cmocka_unit_test(packed_density),
        cmocka_unit_test(empty_slabs_do_not_crowd_out),
        cmocka_unit_test(equal_rounds_never_raise_the_locks),
        cmocka_unit_test(guards_trap),
        cmocka_unit_test(freed_spans_rest),
        cmocka_unit_test(access_is_enforced),
        cmocka_unit_test(statistics_add_up),
        cmocka_unit_test(heaps_share_the_process_limit),
        cmocka_unit_test(idle_memory_of_one_heap_is_another_ones),
        cmocka_unit_test(default_heap_comes_and_goes),
        cmocka_unit_test(the_process_limit_is_kept),
        cmocka_unit_test(long_secrets_come_and_go),
        cmocka_unit_test(zeroed_is_a_product),
        cmocka_unit_test(core_dumps_may_be_allowed),
        cmocka_unit_test(bad_configs_are_refused),
        cmocka_unit_test(secret_memory_keeps_the_same_promises),
        cmocka_unit_test(wipe_wipes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
