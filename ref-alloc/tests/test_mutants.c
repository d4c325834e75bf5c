/*
 * test_mutants.c - what mutants of ref-alloc got away with (tools/mutants): each test kills some that no other did.
 */
#include "support.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

static size_t lines_of(const char *path)
{
    size_t lines = 0;
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    for (int c; (c = fgetc(file)) != EOF;)
        lines += c == '\n';
    fclose(file);
    return lines;
}

static size_t open_descriptors(void)
{
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

static bool has_secret_memory(void)
{
    long fd = syscall(SYS_memfd_secret, (unsigned)O_CLOEXEC);
    if (fd >= 0)
        close((int)fd);
    return fd >= 0;
}

/* A heap of secret memory opens wherever the kernel has that, and keeps no way to its pages but the mapping. */
static void secret_memory_opens_where_it_is_and_leaves_no_descriptor(void **state)
{
    (void)state;
    struct ref_alloc_heap *heap = NULL;
    const struct ref_alloc_config config = {.secret_memory = true};
    size_t before = open_descriptors();
    if (!has_secret_memory()) {
        assert_false(ref_alloc_open(&config, &heap));
        return;
    }
    assert_true(ref_alloc_open(&config, &heap));
    for (size_t size_bytes = 1; size_bytes < 5 * PAGE; size_bytes *= 7)
        assert_non_null(ref_alloc_allocate(heap, size_bytes));
    assert_int_equal(open_descriptors(), before);
    assert_true(ref_alloc_close(heap));
    assert_int_equal(open_descriptors(), before);
}

static void open_and_use_and_close(void)
{
    struct ref_alloc_heap *heap = open_heap((struct ref_alloc_config){0});
    assert_non_null(ref_alloc_allocate(heap, 32));
    assert_non_null(ref_alloc_allocate(heap, 3 * PAGE));
    assert_true(ref_alloc_close(heap));
}

static void a_closed_heap_leaves_no_mapping(void **state)
{
    (void)state;
    open_and_use_and_close(); /* what belongs to the process stays */
    size_t before = lines_of("/proc/self/maps");
    for (int i = 0; i < 20; i++)
        open_and_use_and_close();
    assert_int_equal(lines_of("/proc/self/maps"), before);
}

/* As close to the guard as the alignment that was asked for allows, also where a resize moved it. */
static void a_moved_secret_lies_against_its_guard(void **state)
{
    (void)state;
    struct ref_alloc_heap *heap =
        open_heap((struct ref_alloc_config){.placement = REF_ALLOC_PLACEMENT_GUARDED});
    unsigned char *secret = ref_alloc_allocate(heap, 100);
    size_t size_bytes = PAGE + 16;
    secret = ref_alloc_resize(heap, secret, size_bytes);
    assert_non_null(secret);
    assert_true(traps(secret + size_bytes, false));
    assert_true(ref_alloc_close(heap));
}

/* A freed slot rests while others of its slab are free: a stale pointer meets nobody's secret at once. */
static void a_freed_slot_is_not_the_next_one_handed_out(void **state)
{
    (void)state;
    struct ref_alloc_heap *heap =
        open_heap((struct ref_alloc_config){.placement = REF_ALLOC_PLACEMENT_PACKED});
    unsigned char *kept = ref_alloc_allocate(heap, 24);
    for (int i = 0; i < 100; i++) {
        unsigned char *freed = ref_alloc_allocate(heap, 24);
        ref_alloc_free(heap, freed);
        unsigned char *next = ref_alloc_allocate(heap, 24);
        assert_ptr_not_equal(next, freed);
        ref_alloc_free(heap, next);
    }
    ref_alloc_free(heap, kept);
    assert_true(ref_alloc_close(heap));
}

/* Allocates until the slot at `secret` comes round; the message that this ends in, or "". */
static const char *fatal_on_reuse(struct ref_alloc_heap *heap, const unsigned char *secret)
{
    static unsigned char *last;
    fatal_message = "";
    last = NULL;
    if (setjmp(fatal_exit) == 0)
        for (size_t i = 0; i < PAGE && last != secret; i++)
            last = ref_alloc_allocate(heap, 8);
    return fatal_message;
}

/* Slots of 16 bytes: a write to any byte of a freed one is seen when it is used again, and mended. */
static void a_stale_write_anywhere_in_a_slot_is_caught(void **state)
{
    (void)state;
    for (size_t offset = 0; offset < 16; offset++) {
        struct ref_alloc_heap *heap = open_heap((struct ref_alloc_config){
            .placement = REF_ALLOC_PLACEMENT_PACKED, .fatal = catch_fatal});
        unsigned char *neighbour = ref_alloc_allocate(heap, 8);
        unsigned char *secret = ref_alloc_allocate(heap, 8);
        memset(neighbour, 0x55, 8);
        ref_alloc_free(heap, secret);
        damage(secret + offset);
        assert_string_equal(fatal_on_reuse(heap, secret), REF_ALLOC_FATAL_WRITE_AFTER_FREE);
        assert_true(all_bytes_are(neighbour, 8, 0x55));
        assert_true(ref_alloc_validate(heap));
        assert_true(ref_alloc_close(heap));
    }
}

/* However a packed secret came to its size, eight bytes behind it are watched. */
static void a_resized_secret_keeps_a_whole_canary(void **state)
{
    (void)state;
    for (size_t size_bytes = 1; size_bytes <= 64; size_bytes++) {
        struct ref_alloc_heap *heap = open_heap((struct ref_alloc_config){
            .placement = REF_ALLOC_PLACEMENT_PACKED, .fatal = catch_fatal});
        unsigned char *secret = ref_alloc_allocate(heap, 24);
        secret = ref_alloc_resize(heap, secret, size_bytes);
        assert_non_null(secret);
        damage(secret + size_bytes + 7);
        assert_fatal(FREE, heap, secret, 0, REF_ALLOC_FATAL_OVERRUN);
        assert_true(ref_alloc_close(heap));
    }
}

static size_t address_space_pages(void)
{
    size_t pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    assert_non_null(statm);
    assert_int_equal(fscanf(statm, "%zu", &pages), 1);
    fclose(statm);
    return pages;
}

/* Slabs that come and go use their tables again. */
static void slabs_that_come_and_go_cost_nothing(void **state)
{
    (void)state;
    enum { SLABS = 3, ROUNDS = 1000 };
    struct ref_alloc_heap *heap =
        open_heap((struct ref_alloc_config){.placement = REF_ALLOC_PLACEMENT_PACKED});
    size_t count = SLABS * PAGE / 48, before = 0;
    void **secrets = calloc(count, sizeof(*secrets));
    assert_non_null(secrets);
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < count; i++)
            assert_non_null(secrets[i] = ref_alloc_allocate(heap, 40));
        for (size_t i = 0; i < count; i++)
            ref_alloc_free(heap, secrets[i]);
        if (round == 10)
            before = address_space_pages();
    }
    assert_int_equal(address_space_pages(), before);
    free(secrets);
    assert_true(ref_alloc_close(heap));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secret_memory_opens_where_it_is_and_leaves_no_descriptor),
        cmocka_unit_test(a_closed_heap_leaves_no_mapping),
        cmocka_unit_test(a_moved_secret_lies_against_its_guard),
        cmocka_unit_test(a_freed_slot_is_not_the_next_one_handed_out),
        cmocka_unit_test(a_stale_write_anywhere_in_a_slot_is_caught),
        cmocka_unit_test(a_resized_secret_keeps_a_whole_canary),
        cmocka_unit_test(slabs_that_come_and_go_cost_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
