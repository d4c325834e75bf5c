/*
 * test_calls.c - what ref-alloc asks of the kernel, call by call: how many calls an operation takes, on which memory,
 * and what holds if one fails, or somebody else does something in the middle of it.
 *
 * An operation that never comes to an end makes calls without end: so it is told by their number, and not by a clock.
 */
#include "wrapped.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include "heap.h"
#include "process.h"
#include "slab.h"

#define CALLS_MAX 20000u /* no test here needs a tenth of that */
#define FAILURES 2

struct failure {
    long number;
    int error;
};

static struct {
    struct failure failures[FAILURES];
    /* For whoever looks on, or does something in the middle. */
    void (*before)(long number, const long *arguments);
    void (*after)(long number, const long *arguments, long result);
    size_t calls;
} kernel;

static UNSANITIZED long answer(long number, const long *arguments)
{
    if (++kernel.calls > CALLS_MAX)
        abort();
    if (kernel.before != NULL)
        kernel.before(number, arguments);
    for (size_t i = 0; i < FAILURES; i++)
        if (kernel.failures[i].error != 0 && kernel.failures[i].number == number) {
            errno = kernel.failures[i].error;
            return -1;
        }
    long result = really(number, arguments);
    if (kernel.after != NULL)
        kernel.after(number, arguments, result);
    return result;
}

/* Nothing fails, and nobody looks on. So each test begins, whatever the one before it ended in. */
static void all_well(void **state)
{
    (void)state;
    memset(&kernel, 0, sizeof(kernel));
}

static void fails(long number, int error)
{
    struct failure *failure = &kernel.failures[kernel.failures[0].error != 0];
    *failure = (struct failure){.number = number, .error = error};
}

static struct ref_alloc_heap *open_placed(enum ref_alloc_placement placement)
{
    return open_heap((struct ref_alloc_config){.placement = placement, .fatal = catch_fatal});
}

/* For a child, where an assertion would go on with the tests that follow. */
static struct ref_alloc_heap *open_or_leave(void)
{
    struct ref_alloc_heap *heap = NULL;
    if (!ref_alloc_open(NULL, &heap))
        LEAVE(1);
    return heap;
}

/* Runs a test's part in a child, which ends by LEAVE(0) if all is well. */
static void assert_well_in_child(void (*part)(void))
{
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        part();
        LEAVE(1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* ---- first of all: before this process has had a heap ---- */

static size_t mappings(void)
{
    size_t lines = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    assert_non_null(maps);
    for (int c; (c = fgetc(maps)) != EOF;)
        lines += c == '\n';
    fclose(maps);
    return lines;
}

static void a_first_heap_that_cannot_be_had_leaves_nothing(void **state)
{
    all_well(state);
    struct ref_alloc_heap *heap;
    size_t before = mappings();
    fails(SYS_madvise, EINVAL);
    assert_false(ref_alloc_open(NULL, &heap));
    assert_int_equal(errno, EINVAL);
    assert_int_equal(mappings(), before);
}

static UNSANITIZED void leave_rubbish_on_the_stack(void)
{
    volatile unsigned char rubbish[16384];
    for (size_t i = 0; i < sizeof(rubbish); i++)
        rubbish[i] = 0xa5;
}

static void what_a_heap_begins_with_does_not_depend_on_the_stack(void **state)
{
    all_well(state);
    struct ref_alloc_heap *heap = NULL;
    leave_rubbish_on_the_stack();
    assert_true(ref_alloc_open(NULL, &heap));
    assert_non_null(ref_alloc_allocate(heap, 32));
    assert_true(ref_alloc_close(heap));
}

/* ---- an end is reached ---- */

static void a_budget_that_is_used_up_says_no(void **state)
{
    all_well(state);
    for (size_t size_bytes = 40; size_bytes <= 3 * PAGE; size_bytes += 2 * PAGE) {
        struct ref_alloc_heap *heap =
            open_heap((struct ref_alloc_config){.lock_budget_bytes = 16 * PAGE});
        while (ref_alloc_allocate(heap, size_bytes) != NULL)
            ;
        assert_int_equal(errno, ENOMEM);
        assert_true(ref_alloc_close(heap));
    }
}

/* All that others have at rest is given back, and then it is no. */
static void use_up_a_limit_by_two_heaps(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0)
        LEAVE(1);
    limit.rlim_cur = 12 * PAGE;
    if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0)
        LEAVE(1);
    struct ref_alloc_heap *first = open_or_leave(), *second = open_or_leave();
    while (ref_alloc_allocate(first, PAGE) != NULL)
        ;
    LEAVE(ref_alloc_allocate(second, PAGE) == NULL && errno == ENOMEM ? 0 : 1);
}

static void a_shared_limit_that_is_used_up_says_no(void **state)
{
    all_well(state);
    assert_well_in_child(use_up_a_limit_by_two_heaps);
}

/* Not opened, so not wiped; tried again each time, and wiped at the first that goes well. */
static void what_could_not_be_wiped_is_wiped_before_it_is_used_again(void **state)
{
    all_well(state);
    struct ref_alloc_heap *heap =
        open_heap((struct ref_alloc_config){.lock_budget_bytes = 16 * PAGE});
    unsigned char *secret = ref_alloc_allocate(heap, PAGE);
    memset(secret, 0x5a, PAGE);
    assert_true(ref_alloc_protect(heap, secret, REF_ALLOC_ACCESS_NONE));
    fails(SYS_mprotect, ENOMEM);
    errno = 77;
    ref_alloc_free(heap, secret);
    assert_int_equal(errno, 77);
    for (int i = 0; i < 3; i++)
        assert_null(ref_alloc_allocate(heap, PAGE));
    all_well(NULL);
    for (unsigned char *next; (next = ref_alloc_allocate(heap, PAGE)) != NULL;)
        assert_true(all_bytes_are(next, PAGE, 0));
    unsigned char *page = secret - (uintptr_t)secret % PAGE;
    assert_int_equal(__real_syscall(SYS_mprotect, page, PAGE, PROT_READ), 0);
    assert_true(all_bytes_are(page, PAGE, 0));
    assert_int_equal(__real_syscall(SYS_mprotect, page, PAGE, PROT_NONE), 0);
    assert_true(ref_alloc_validate(heap));
    assert_true(ref_alloc_close(heap));
}

static struct ref_alloc_heap *inherited;

static void use_inherited_heap(void)
{
    unsigned char *packed = ref_alloc_allocate(inherited, 32),
                  *guarded = ref_alloc_allocate(inherited, 2 * PAGE);
    if (packed == NULL || guarded == NULL)
        LEAVE(1);
    ref_alloc_free(inherited, packed);
    ref_alloc_free(inherited, guarded);
    LEAVE(0);
}

static void a_child_can_use_the_heap_that_it_inherits(void **state)
{
    all_well(state);
    inherited = open_placed(REF_ALLOC_PLACEMENT_BY_SIZE);
    assert_non_null(ref_alloc_allocate(inherited, 32));
    assert_well_in_child(use_inherited_heap);
    assert_true(ref_alloc_close(inherited));
}

/* ---- somebody else, in the middle ---- */

static struct lock *held;
static size_t waits;

static void give_the_lock_to_who_waits(long number, const long *arguments)
{
    (void)arguments;
    if (number != SYS_sched_yield && number != SYS_ppoll)
        return;
    waits++;
    lock_give(held);
}

static void whoever_waits_for_a_lock_has_it_then(void **state)
{
    all_well(state);
    struct lock lock = {0};
    lock_wait(&lock);
    assert_int_equal(lock.held, 1);
}

static void live_secrets_are_counted_under_the_lock(void **state)
{
    all_well(state);
    struct ref_alloc_statistics statistics;
    struct ref_alloc_heap *heap = open_placed(REF_ALLOC_PLACEMENT_PACKED);
    for (size_t i = 0; i < PACKED_SHARDS; i++) {
        held = &heap->packed.shards[i].lock;
        lock_take(held);
        waits = 0;
        kernel.before = give_the_lock_to_who_waits;
        assert_true(ref_alloc_statistics(heap, &statistics));
        kernel.before = NULL;
        assert_int_equal(waits, 1);
    }
    assert_true(ref_alloc_close(heap));
}

static void spans_are_taken_under_the_lock(void **state)
{
    all_well(state);
    struct ref_alloc_heap *heap = open_placed(REF_ALLOC_PLACEMENT_GUARDED);
    void *secret;
    held = &heap->pool.lists.lock;
    lock_take(held);
    waits = 0;
    kernel.before = give_the_lock_to_who_waits;
    secret = ref_alloc_allocate(heap, 32);
    kernel.before = NULL;
    assert_int_equal(waits, 1);
    assert_non_null(secret);
    assert_true(ref_alloc_close(heap));
}

static void leave_well_if_it_waits(long number, const long *arguments)
{
    (void)arguments;
    if (number == SYS_sched_yield)
        LEAVE(0);
}

static struct ref_alloc_heap *added;

static bool add_while_visited(struct ref_alloc_heap *heap)
{
    (void)heap;
    kernel.before = leave_well_if_it_waits;
    process_add(added);
    return true;
}

static void add_in_a_visit(void)
{
    open_or_leave();
    added = open_or_leave();
    process_remove(added);
    process_visit(added, add_while_visited);
}

static void nobody_joins_the_list_of_heaps_while_it_is_visited(void **state)
{
    all_well(state);
    assert_well_in_child(add_in_a_visit);
}

static size_t visited;

static bool count_heap(struct ref_alloc_heap *heap)
{
    (void)heap;
    visited++;
    return false;
}

static size_t heaps(void)
{
    visited = 0;
    process_visit(NULL, count_heap);
    return visited;
}

static void open_the_default_heap(long number, const long *arguments)
{
    (void)number;
    (void)arguments;
    kernel.before = NULL;
    assert_non_null(ref_alloc_default_heap());
}

static void of_two_default_heaps_one_is_closed(void **state)
{
    all_well(state);
    size_t before = heaps();
    kernel.before = open_the_default_heap;
    assert_non_null(ref_alloc_default_heap());
    assert_int_equal(heaps(), before + 1);
    assert_true(ref_alloc_close(NULL));
    assert_int_equal(heaps(), before);
}

/* A close that fails half way has left the list already; a second one leaves those alone that came meanwhile. */
static void a_heap_leaves_the_list_once(void **state)
{
    all_well(state);
    size_t before = heaps();
    struct ref_alloc_heap *first = open_placed(REF_ALLOC_PLACEMENT_GUARDED),
                          *second = open_placed(REF_ALLOC_PLACEMENT_GUARDED);
    assert_non_null(ref_alloc_allocate(second, 32));
    fails(SYS_munmap, ENOMEM);
    assert_false(ref_alloc_close(second));
    all_well(NULL);
    struct ref_alloc_heap *third = open_placed(REF_ALLOC_PLACEMENT_GUARDED);
    assert_int_equal(heaps(), before + 2);
    assert_true(ref_alloc_close(second));
    assert_int_equal(heaps(), before + 2);
    assert_true(ref_alloc_close(first));
    assert_true(ref_alloc_close(third));
    assert_int_equal(heaps(), before);
}

/* ---- on which memory ---- */

#define RESERVED_MAX 64
static struct {
    uintptr_t start, end;
} reserved[RESERVED_MAX];
static size_t reserved_count;
static bool at_the_edge;

static void note_reserved(uintptr_t start, size_t size_bytes)
{
    assert_true(reserved_count < RESERVED_MAX);
    reserved[reserved_count].start = start;
    reserved[reserved_count++].end = start + size_bytes;
}

/* A guard on either side, or on none: the pages that a child finds cleared are mapped by themselves. */
static void look_for_guards(long number, const long *arguments, long result)
{
    if (number == MAP_CALL && arguments[2] == PROT_NONE)
        note_reserved((uintptr_t)result, (size_t)arguments[1]);
    if (number != SYS_mprotect || arguments[2] == PROT_NONE)
        return;
    uintptr_t start = (uintptr_t)arguments[0], end = start + (size_t)arguments[1];
    for (size_t i = 0; i < reserved_count; i++)
        if (reserved[i].start <= start && end <= reserved[i].end)
            at_the_edge |= (reserved[i].start == start) != (reserved[i].end == end);
}

static void all_that_is_accessible_lies_between_guards(void **state)
{
    all_well(state);
    reserved_count = 0;
    at_the_edge = false;
    kernel.after = look_for_guards;
    struct ref_alloc_heap *heap = open_placed(REF_ALLOC_PLACEMENT_BY_SIZE);
    for (size_t size_bytes = 1; size_bytes < 40 * PAGE; size_bytes *= 3)
        assert_non_null(ref_alloc_allocate(heap, size_bytes));
    kernel.after = NULL;
    assert_true(reserved_count > 3);
    assert_false(at_the_edge);
    assert_true(ref_alloc_close(heap));
}

static size_t populated;

static void count_populated(long number, const long *arguments)
{
    populated += number == SYS_getrandom && arguments[1] == 1;
}

static struct ref_alloc_heap *open_secret(void)
{
    struct ref_alloc_heap *heap = NULL;
    return ref_alloc_open(&(struct ref_alloc_config){.secret_memory = true, .quarantine_spans = 1},
                          &heap)
               ? heap
               : NULL;
}

/* Else a page that cannot be had ends in a SIGBUS later. */
static void each_page_of_secret_memory_is_there_before_it_is_handed_out(void **state)
{
    all_well(state);
    struct ref_alloc_heap *heap = open_secret();
    if (heap == NULL)
        skip();
    kernel.before = count_populated;
    populated = 0;
    assert_non_null(ref_alloc_allocate(heap, 20 * PAGE)); /* too long to be kept in stock */
    assert_true(populated >= 20);
    kernel.before = NULL;
    fails(SYS_getrandom, EFAULT);
    assert_null(ref_alloc_allocate(heap, 20 * PAGE));
    assert_int_equal(errno, ENOMEM);
    all_well(NULL);
    assert_true(ref_alloc_close(heap));
}

static void a_heap_of_secret_memory_does_not_open_where_there_is_none(void **state)
{
    all_well(state);
    fails(SYS_memfd_secret, ENOSYS);
    assert_null(open_secret());
    assert_int_equal(errno, ENOSYS);
}

/* ---- what failed is what is told ---- */

static void where_the_limit_cannot_be_asked_for_nothing_is_locked(void **state)
{
    all_well(state);
    struct ref_alloc_heap *heap = open_placed(REF_ALLOC_PLACEMENT_GUARDED);
    fails(SYS_prlimit64, EPERM);
    assert_null(ref_alloc_allocate(heap, 32));
    assert_int_equal(errno, EPERM);
    all_well(NULL);
    assert_true(ref_alloc_close(heap));
}

static void access_that_could_not_be_changed_is_told(void **state)
{
    all_well(state);
    struct ref_alloc_heap *heap = open_placed(REF_ALLOC_PLACEMENT_GUARDED);
    unsigned char *secret = ref_alloc_allocate(heap, 32);
    fails(SYS_mprotect, ENOMEM);
    assert_false(ref_alloc_protect(heap, secret, REF_ALLOC_ACCESS_READ));
    assert_int_equal(errno, ENOMEM);
    all_well(NULL);
    assert_true(ref_alloc_close(heap));
}

/* The first error of two: cleaning up behind it may fail as well. */
static void cleaning_up_does_not_change_the_error(void **state)
{
    all_well(state);
    struct ref_alloc_heap *heap = open_placed(REF_ALLOC_PLACEMENT_GUARDED);
    fails(SYS_madvise, EAGAIN);
    fails(SYS_munmap, EINVAL);
    assert_null(ref_alloc_allocate(heap, 32));
    assert_int_equal(errno, EAGAIN);
    all_well(NULL);
    assert_true(ref_alloc_close(heap));
}

static void cleaning_up_secret_memory_does_not_change_the_error(void **state)
{
    all_well(state);
    struct ref_alloc_heap *heap = open_secret();
    if (heap == NULL)
        skip();
    fails(SYS_ftruncate, EAGAIN);
    fails(SYS_close, EIO);
    assert_null(ref_alloc_allocate(heap, 32));
    assert_int_equal(errno, EAGAIN);
    all_well(NULL);
    assert_true(ref_alloc_close(heap));
}

/* Two slabs emptied: the second goes back to the pool, and nothing of that shows. */
static void free_keeps_errno_when_a_slab_goes_back(void **state)
{
    all_well(state);
    struct ref_alloc_heap *heap = open_placed(REF_ALLOC_PLACEMENT_PACKED);
    size_t count = 2 * PAGE / 1024;
    unsigned char *secrets[2 * 64];
    assert_true(count <= 2 * 64);
    for (size_t i = 0; i < count; i++)
        assert_non_null(secrets[i] = ref_alloc_allocate(heap, 1000));
    fails(SYS_mprotect, ENOMEM);
    for (size_t i = 0; i < count; i++) {
        errno = 77;
        ref_alloc_free(heap, secrets[i]);
        assert_int_equal(errno, 77);
    }
    all_well(NULL);
    assert_true(ref_alloc_validate(heap));
    assert_true(ref_alloc_close(heap));
}

/* Those of a long secret, which the kernel would not take back. */
static void addresses_that_could_not_be_given_back_are_still_known(void **state)
{
    all_well(state);
    unsigned char *secrets[4];
    struct ref_alloc_heap *heap =
        open_heap((struct ref_alloc_config){.quarantine_spans = 1, .fatal = catch_fatal});
    fails(SYS_munmap, ENOMEM);
    for (size_t i = 0; i < 4; i++) {
        assert_non_null(secrets[i] = ref_alloc_allocate(heap, 20 * PAGE));
        ref_alloc_free(heap, secrets[i]);
    }
    for (size_t i = 0; i < 4; i++)
        assert_fatal(FREE, heap, secrets[i], 0, REF_ALLOC_FATAL_DOUBLE_FREE);
    all_well(NULL);
    assert_true(ref_alloc_close(heap));
}

/* ---- parts by themselves ---- */

static void a_quota_is_used_to_the_last_byte(void **state)
{
    all_well(state);
    struct quota quota = {.locked_bytes = 3 * PAGE};
    assert_true(quota_is_within_budget(&quota, 4 * PAGE, PAGE));
    assert_false(quota_is_within_budget(&quota, 4 * PAGE, PAGE + 1));
    assert_true(quota_has(&quota, 4 * PAGE, PAGE));
    assert_false(quota_has(&quota, 4 * PAGE, 2 * PAGE));
    fails(SYS_prlimit64, EPERM);
    assert_false(quota_has(&quota, 4 * PAGE, PAGE));
}

static void a_slab_has_a_bit_for_each_slot(void **state)
{
    all_well(state);
    const uint32_t slots[] = {1, 64, 65, 128, 129}, words[] = {1, 1, 2, 2, 3};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(slab_words(slots[i]), words[i]);
}

static void small_pieces_of_metadata_lie_side_by_side(void **state)
{
    all_well(state);
    struct metadata metadata;
    metadata_open(&metadata, PAGE);
    unsigned char *first = metadata_take(&metadata, 128), *second = metadata_take(&metadata, 128);
    assert_ptr_equal(second, first + 128);
    metadata_close(&metadata);
}

/* All of it is its own: what is taken after it is written full, and no address is found. */
static void a_directory_has_room_for_every_address(void **state)
{
    all_well(state);
    struct metadata metadata;
    struct directory directory;
    metadata_open(&metadata, PAGE);
    assert_true(directory_open(&directory, &metadata, PAGE));
    for (int i = 0; i < 4; i++)
        memset(metadata_take(&metadata, 40000), 0xff, 40000);
    for (size_t i = 0; i < directory.root_entries; i++)
        assert_null(directory.root[i]);
    metadata_close(&metadata);
}

static void only_spans_are_taken_for_spans(void **state)
{
    all_well(state);
    struct ref_alloc_heap *heap = open_placed(REF_ALLOC_PLACEMENT_GUARDED);
    assert_non_null(ref_alloc_allocate(heap, 32));
    const struct chunk *chunk = atomic_load(&heap->pool.chunks);
    struct span *behind = metadata_take(&heap->metadata, sizeof(*behind));
    assert_ptr_equal(behind, &chunk->spans[chunk->layout.span_count]);
    span_set_state(behind, SPAN_LIVE);
    assert_true(ref_alloc_validate(heap));
    assert_true(ref_alloc_close(heap));
}

static void without_canaries_no_overrun_is_seen(void **state)
{
    all_well(state);
    struct ref_alloc_heap *heap = open_heap((struct ref_alloc_config){
        .placement = REF_ALLOC_PLACEMENT_PACKED, .without_canary = true, .fatal = catch_fatal});
    unsigned char *secret = ref_alloc_allocate(heap, 40);
    damage(secret + 40); /* the slot has 48 bytes */
    assert_fatal(FREE, heap, secret, 0, "");
    assert_true(ref_alloc_validate(heap));
    assert_true(ref_alloc_close(heap));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_first_heap_that_cannot_be_had_leaves_nothing),
        cmocka_unit_test(what_a_heap_begins_with_does_not_depend_on_the_stack),
        cmocka_unit_test(a_budget_that_is_used_up_says_no),
        cmocka_unit_test(a_shared_limit_that_is_used_up_says_no),
        cmocka_unit_test(what_could_not_be_wiped_is_wiped_before_it_is_used_again),
        cmocka_unit_test(a_child_can_use_the_heap_that_it_inherits),
        cmocka_unit_test(whoever_waits_for_a_lock_has_it_then),
        cmocka_unit_test(live_secrets_are_counted_under_the_lock),
        cmocka_unit_test(spans_are_taken_under_the_lock),
        cmocka_unit_test(nobody_joins_the_list_of_heaps_while_it_is_visited),
        cmocka_unit_test(of_two_default_heaps_one_is_closed),
        cmocka_unit_test(a_heap_leaves_the_list_once),
        cmocka_unit_test(all_that_is_accessible_lies_between_guards),
        cmocka_unit_test(each_page_of_secret_memory_is_there_before_it_is_handed_out),
        cmocka_unit_test(a_heap_of_secret_memory_does_not_open_where_there_is_none),
        cmocka_unit_test(where_the_limit_cannot_be_asked_for_nothing_is_locked),
        cmocka_unit_test(access_that_could_not_be_changed_is_told),
        cmocka_unit_test(cleaning_up_does_not_change_the_error),
        cmocka_unit_test(cleaning_up_secret_memory_does_not_change_the_error),
        cmocka_unit_test(free_keeps_errno_when_a_slab_goes_back),
        cmocka_unit_test(addresses_that_could_not_be_given_back_are_still_known),
        cmocka_unit_test(a_quota_is_used_to_the_last_byte),
        cmocka_unit_test(a_slab_has_a_bit_for_each_slot),
        cmocka_unit_test(small_pieces_of_metadata_lie_side_by_side),
        cmocka_unit_test(a_directory_has_room_for_every_address),
        cmocka_unit_test(only_spans_are_taken_for_spans),
        cmocka_unit_test(without_canaries_no_overrun_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
