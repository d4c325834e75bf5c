/* What only shows from inside: that validate sees each broken invariant, and how a lock waits. */
#include "support.h"

#include <pthread.h>

#include "heap.h"

static struct ref_alloc_heap *heap;
static unsigned char *packed_secret, *guarded_secret;

static struct span *span_of(const void *secret)
{
    return pool_find(&heap->pool, secret);
}

/* Damages one thing, asserts that it is seen, and repairs it. */
#define assert_seen(place, wrong)               \
    do {                                        \
        __typeof__(place) right_ = (place);     \
        (place) = (wrong);                      \
        assert_false(ref_alloc_validate(heap)); \
        (place) = right_;                       \
        assert_true(ref_alloc_validate(heap));  \
    } while (0)

static void set_up_secrets(void)
{
    heap = open_heap((struct ref_alloc_config){0});
    packed_secret = ref_alloc_allocate(heap, 32);
    guarded_secret = ref_alloc_allocate(heap, PAGE);
    ref_alloc_free(heap, ref_alloc_allocate(heap, 300)); /* leaves an empty slab */
    assert_true(ref_alloc_validate(heap));
}

static void validate_sees_the_pool(void **state)
{
    (void)state;
    set_up_secrets();
    struct pool_lists *lists = &heap->pool.lists;
    struct span_queue *blank = &lists->blank[1], *resting = &lists->resting[1];
    assert_seen(heap->forked->quota.locked_bytes, 0);
    assert_seen(lists->stuck.length, 1);
    assert_seen(lists->unmapped.length, 1);
    assert_seen(lists->blank[0].length, 1);
    assert_seen(blank->length, blank->length - 1);
    assert_seen(resting->length, resting->length - 1);
    assert_seen(blank->youngest, blank->oldest);
    assert_seen(blank->oldest->younger->older, NULL);
    assert_seen(blank->oldest->state, SPAN_RESTING);
    assert_seen(blank->oldest->chunk->layout.span_pages, 2);
    assert_true(ref_alloc_close(heap));
}

static void validate_sees_guarded_secrets(void **state)
{
    (void)state;
    set_up_secrets();
    assert_seen(heap->forked->guarded_secrets, 7);
    assert_seen(heap->forked->guarded_bytes, 7);
    assert_seen(span_of(guarded_secret)->size_bytes, PAGE - 32);
    assert_true(ref_alloc_close(heap));
}

static void validate_sees_slabs(void **state)
{
    (void)state;
    set_up_secrets();
    struct slab *slab = &span_of(packed_secret)->slab;
    struct packed_shard *shard = &heap->packed.shards[slab->shard];
    struct packed_class *list = &shard->classes[slab->slot_class];
    assert_seen(slab->free_count, slab->free_count - 1);
    assert_seen(slab->summary, 0);
    assert_seen(slab->free_words[0], slab->free_words[0] ^ 4);
    assert_seen(slab->slots[0].live, 0);
    assert_seen(slab->slots[0].size_bytes, 31);
    const size_t canary_at = 40, free_at = 60;
    damage(packed_secret + canary_at);
    assert_false(ref_alloc_validate(heap));
    damage(packed_secret + canary_at);
    damage(packed_secret + free_at);
    assert_false(ref_alloc_validate(heap));
    damage(packed_secret + free_at);
    assert_true(ref_alloc_validate(heap));
    assert_seen(list->partial.oldest, NULL);
    assert_seen(list->empty, span_of(packed_secret));
    assert_seen(shard->live_secrets, 9);
    assert_seen(shard->live_bytes, 9);
    assert_true(ref_alloc_close(heap));
}

/* From the slot after the last one taken to the end, then from the start. */
static void slots_are_taken_in_turn(void **state)
{
    (void)state;
    unsigned char *secrets[85];
    heap = open_heap((struct ref_alloc_config){0});
    for (size_t i = 0; i < 85; i++)
        secrets[i] = ref_alloc_allocate(heap, 32);
    const size_t freed[] = {70, 3}, taken[] = {3, 70};
    for (size_t i = 0; i < 2; i++)
        ref_alloc_free(heap, secrets[freed[i]]);
    for (size_t i = 0; i < 2 && PAGE == 4096; i++)
        assert_ptr_equal(ref_alloc_allocate(heap, 32), secrets[taken[i]]);
    ref_alloc_free(heap, secrets[5]);
    if (PAGE == 4096)
        assert_ptr_equal(ref_alloc_allocate(heap, 32), secrets[5]);
    assert_true(ref_alloc_validate(heap));
    assert_true(ref_alloc_close(heap));
}

/* The first page of a chunk is the guard before its first span. */
static void a_guard_is_no_span(void **state)
{
    (void)state;
    set_up_secrets();
    const struct chunk *chunk = span_of(guarded_secret)->chunk;
    assert_null(pool_find(&heap->pool, chunk->base));
    assert_null(pool_find(&heap->pool, chunk->base + PAGE - 1));
    assert_ptr_equal(pool_find(&heap->pool, chunk->base + PAGE), &chunk->spans[0]);
    assert_true(ref_alloc_close(heap));
}

static struct lock held_lock;
static _Atomic bool done_waiting;

static void *wait_for_lock(void *unused)
{
    lock_take(&held_lock);
    done_waiting = true;
    lock_give(&held_lock);
    return unused;
}

/* Long enough to spin, to yield and to sleep. */
static void locks_wait(void **state)
{
    (void)state;
    pthread_t thread;
    lock_take(&held_lock);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_lock, NULL), 0);
    usleep(50000);
    assert_false(done_waiting);
    lock_give(&held_lock);
    pthread_join(thread, NULL);
    assert_true(done_waiting);
}

/* A thread that comes when the limit is reached gets what other threads' slabs have left. */
static void *allocate_in_a_thread(void *unused)
{
    (void)unused;
    return ref_alloc_allocate(heap, 32);
}

static void slots_are_shared_at_the_limit(void **state)
{
    (void)state;
    heap = open_heap((struct ref_alloc_config){.lock_budget_bytes = PAGE});
    void *mine = ref_alloc_allocate(heap, 32), *others = NULL;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, allocate_in_a_thread, NULL), 0);
    pthread_join(thread, &others);
    assert_non_null(others);
    assert_true(ref_alloc_validate(heap));
    ref_alloc_free(heap, others);
    ref_alloc_free(heap, mine);
    assert_true(ref_alloc_close(heap));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(validate_sees_the_pool),
        cmocka_unit_test(validate_sees_guarded_secrets),
        cmocka_unit_test(validate_sees_slabs),
        cmocka_unit_test(slots_are_taken_in_turn),
        cmocka_unit_test(a_guard_is_no_span),
        cmocka_unit_test(locks_wait),
        cmocka_unit_test(slots_are_shared_at_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
