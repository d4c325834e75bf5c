/* What ends in `fatal`: the exact message, that nothing else changed, and that the heap lives on if it jumps. */
#include "support.h"

static struct ref_alloc_heap *heap;
static unsigned char *other;

static void open_at(enum ref_alloc_placement placement)
{
    heap = open_heap((struct ref_alloc_config){.placement = placement, .fatal = catch_fatal});
    other = ref_alloc_allocate(heap, 50);
    memset(other, 0x77, 50);
}

/* The neighbour is whole, the heap works, and all can be closed. */
static void close_and_check(void)
{
    assert_true(all_bytes_are(other, 50, 0x77));
    assert_true(ref_alloc_validate(heap));
    unsigned char *fresh = ref_alloc_allocate(heap, 50);
    assert_non_null(fresh);
    assert_true(all_bytes_are(fresh, 50, 0));
    ref_alloc_free(heap, fresh);
    ref_alloc_free(heap, other);
    assert_true(ref_alloc_close(heap));
}

static const enum ref_alloc_placement placements[] = {REF_ALLOC_PLACEMENT_GUARDED,
                                                      REF_ALLOC_PLACEMENT_PACKED};
static const size_t sizes[] = {0, 1, 8, 16, 31, 32, 33, 100, 1000, 2040, 4000, 4096, 10000, 100000};

/* Each with a fresh heap, for every placement and size. */
static void each(void (*body)(unsigned char *secret, size_t size_bytes))
{
    for (size_t i = 0; i < 2; i++) {
        for (size_t j = 0; j < sizeof(sizes) / sizeof(sizes[0]); j++) {
            open_at(placements[i]);
            unsigned char *secret = ref_alloc_allocate(heap, sizes[j]);
            assert_non_null(secret);
            memset(secret, 0x41, sizes[j]);
            body(secret, sizes[j]);
            close_and_check();
        }
    }
}

static void free_twice(unsigned char *secret, size_t size_bytes)
{
    (void)size_bytes;
    ref_alloc_free(heap, secret);
    assert_fatal(FREE, heap, secret, 0, REF_ALLOC_FATAL_DOUBLE_FREE);
    assert_fatal(FREE, heap, secret, 0, REF_ALLOC_FATAL_DOUBLE_FREE);
    assert_fatal(USABLE_BYTES, heap, secret, 0, REF_ALLOC_FATAL_BAD_POINTER);
    assert_string_not_equal(fatal_of(RESIZE, heap, secret, 10), "");
}

static void double_free(void **state)
{
    (void)state;
    each(free_twice);
}

static void free_inside(unsigned char *secret, size_t size_bytes)
{
    const size_t offsets[] = {1, 8, 16, 48, size_bytes / 2, size_bytes - 1, size_bytes};
    for (size_t i = 0; i < 7; i++) {
        if (offsets[i] == 0 || offsets[i] > size_bytes)
            continue;
        assert_string_not_equal(fatal_of(FREE, heap, secret + offsets[i], 0), "");
        assert_string_not_equal(fatal_of(USABLE_BYTES, heap, secret + offsets[i], 0), "");
        assert_true(all_bytes_are(secret, size_bytes, 0x41));
    }
    assert_fatal(FREE, heap, secret - 1, 0, REF_ALLOC_FATAL_BAD_POINTER);
    assert_int_equal(ref_alloc_usable_bytes(heap, secret), size_bytes);
    ref_alloc_free(heap, secret);
}

static void interior_free(void **state)
{
    (void)state;
    each(free_inside);
}

static void foreign_free(void **state)
{
    (void)state;
    static unsigned char in_data[64];
    unsigned char on_stack[64], *on_heap = malloc(64);
    for (size_t i = 0; i < 2; i++) {
        open_at(placements[i]);
        struct ref_alloc_heap *stranger =
            open_heap((struct ref_alloc_config){.placement = placements[i]});
        unsigned char *strange = ref_alloc_allocate(stranger, 32);
        void *const pointers[] = {in_data,
                                  on_stack,
                                  on_heap,
                                  strange,
                                  heap,
                                  (void *)16,
                                  (void *)UINTPTR_MAX,
                                  (void *)(UINTPTR_MAX / 2)};
        for (size_t j = 0; j < sizeof(pointers) / sizeof(pointers[0]); j++) {
            assert_fatal(FREE, heap, pointers[j], 0, REF_ALLOC_FATAL_BAD_POINTER);
            assert_fatal(RESIZE, heap, pointers[j], 5, REF_ALLOC_FATAL_BAD_POINTER);
            assert_fatal(USABLE_BYTES, heap, pointers[j], 0, REF_ALLOC_FATAL_BAD_POINTER);
            assert_fatal(PROTECT, heap, pointers[j], 0, REF_ALLOC_FATAL_BAD_POINTER);
        }
        assert_true(all_bytes_are(strange, 32, 0));
        ref_alloc_free(stranger, strange);
        assert_true(ref_alloc_close(stranger));
        close_and_check();
    }
    free(on_heap);
}

static void write_past(unsigned char *secret, size_t size_bytes)
{
    size_t rounded = (size_bytes + 15) / 16 * 16;
    bool slack = size_bytes < rounded;
    bool packed = !traps(secret + rounded, false) && size_bytes <= 2040;
    if (!slack && !packed) {
        ref_alloc_free(heap, secret);
        return;
    }
    damage(secret + size_bytes);
    assert_false(ref_alloc_validate(heap));
    assert_fatal(FREE, heap, secret, 0, REF_ALLOC_FATAL_OVERRUN);
    if (packed)
        assert_true(all_bytes_are(secret, size_bytes, 0));
}

static void overrun(void **state)
{
    (void)state;
    each(write_past);
}

static void resize_after_overrun(unsigned char *secret, size_t size_bytes)
{
    if (size_bytes % 16 == 0) {
        ref_alloc_free(heap, secret);
        return;
    }
    damage(secret + size_bytes);
    assert_fatal(RESIZE, heap, secret, size_bytes + 1, REF_ALLOC_FATAL_OVERRUN);
}

static void overrun_seen_by_resize(void **state)
{
    (void)state;
    each(resize_after_overrun);
}

static void every_byte_of_the_slack_counts(void **state)
{
    (void)state;
    open_at(REF_ALLOC_PLACEMENT_GUARDED);
    for (size_t distance = 1; distance <= PAGE - 112; distance += 7) {
        unsigned char *secret = ref_alloc_allocate(heap, 100);
        damage(secret - distance);
        assert_fatal(FREE, heap, secret, 0, REF_ALLOC_FATAL_UNDERRUN);
    }
    for (size_t i = 0; i < 12; i++) {
        unsigned char *secret = ref_alloc_allocate(heap, 100);
        damage(secret + 100 + i);
        assert_fatal(FREE, heap, secret, 0, REF_ALLOC_FATAL_OVERRUN);
    }
    close_and_check();
    open_at(REF_ALLOC_PLACEMENT_PACKED);
    for (size_t i = 0; i < 16; i++) {
        unsigned char *secret = ref_alloc_allocate(heap, 32);
        damage(secret + 32 + i);
        assert_fatal(FREE, heap, secret, 0, REF_ALLOC_FATAL_OVERRUN);
    }
    close_and_check();
}

static void write_after_free(void **state)
{
    (void)state;
    open_at(REF_ALLOC_PLACEMENT_PACKED);
    unsigned char *secret = ref_alloc_allocate(heap, 32);
    ref_alloc_free(heap, secret);
    damage(secret + 5);
    assert_false(ref_alloc_validate(heap));
    const char *message = "";
    for (size_t i = 0; i < PAGE && message[0] == 0; i++)
        message = fatal_of(ALLOCATE, heap, NULL, 32);
    assert_string_equal(message, REF_ALLOC_FATAL_WRITE_AFTER_FREE);
    close_and_check();
}

static void the_guard_before_all_is_no_secret(void **state)
{
    (void)state;
    open_at(REF_ALLOC_PLACEMENT_GUARDED);
    uintptr_t chunk_bytes = 256 * PAGE;
    unsigned char *chunk = other - (uintptr_t)other % chunk_bytes;
    assert_fatal(FREE, heap, chunk, 0, REF_ALLOC_FATAL_BAD_POINTER);
    assert_fatal(FREE, heap, chunk + chunk_bytes - 1, 0, REF_ALLOC_FATAL_BAD_POINTER);
    unsigned char *secret = ref_alloc_allocate(heap, 32);
    ref_alloc_free(heap, secret);
    assert_fatal(PROTECT, heap, secret, 0, REF_ALLOC_FATAL_BAD_POINTER);
    close_and_check();
}

static UNSANITIZED bool differ(const unsigned char *one, const unsigned char *two)
{
    bool differ = false;
    TOOL_LOOKS_AWAY;
    for (size_t i = 0; i < 8; i++)
        differ = differ || one[i] != two[i];
    TOOL_LOOKS;
    return differ;
}

static void canaries_differ(void **state)
{
    (void)state;
    open_at(REF_ALLOC_PLACEMENT_PACKED);
    unsigned char *one = ref_alloc_allocate(heap, 32), *two = ref_alloc_allocate(heap, 32);
    assert_true(differ(one + 32, two + 32));
    close_and_check();
}

/* Without a handler: every secret is wiped, then SIGABRT. Seen in a child, through memory that it shares. */
static void abort_wipes_everything(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct ref_alloc_heap *mine = open_heap((struct ref_alloc_config){0});
        unsigned char *secret = ref_alloc_allocate(mine, 32);
        ref_alloc_free(mine, secret);
        ref_alloc_free(mine, secret);
        LEAVE(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static unsigned char *secrets_at_abort[5];

static void at_abort(int signal_number)
{
    (void)signal_number;
    for (size_t i = 0; i < 5; i++)
        if (!all_bytes_are(secrets_at_abort[i], 32, 0))
            LEAVE(1);
    LEAVE(0);
}

static void returning_handler(void *arg, const char *message)
{
    (void)arg;
    (void)message;
}

static void nothing_is_left_at_abort(void **state)
{
    (void)state;
    void (*const handlers[])(void *, const char *) = {NULL, returning_handler};
    for (size_t i = 0; i < 2; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            heap = open_heap((struct ref_alloc_config){.fatal = handlers[i]});
            secrets_at_abort[0] = ref_alloc_allocate(heap, 32);
            secrets_at_abort[1] = ref_alloc_allocate(heap, 5000);
            secrets_at_abort[2] = ref_alloc_allocate(heap, 500000);
            struct ref_alloc_heap *another = open_heap((struct ref_alloc_config){0});
            secrets_at_abort[3] = ref_alloc_allocate(another, 32);
            secrets_at_abort[4] = ref_alloc_allocate(NULL, PAGE);
            for (size_t j = 0; j < 5; j++)
                memset(secrets_at_abort[j], 3, 32);
            ref_alloc_protect(heap, secrets_at_abort[1], REF_ALLOC_ACCESS_NONE);
            signal(SIGABRT, at_abort);
            ref_alloc_free(heap, secrets_at_abort[0] + 1);
            LEAVE(2);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(double_free),
        cmocka_unit_test(interior_free),
        cmocka_unit_test(foreign_free),
        cmocka_unit_test(overrun),
        cmocka_unit_test(overrun_seen_by_resize),
        cmocka_unit_test(every_byte_of_the_slack_counts),
        cmocka_unit_test(write_after_free),
        cmocka_unit_test(the_guard_before_all_is_no_secret),
        cmocka_unit_test(canaries_differ),
        cmocka_unit_test(abort_wipes_everything),
        cmocka_unit_test(nothing_is_left_at_abort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
