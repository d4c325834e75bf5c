/* Several threads at once: each secret keeps its bytes, secrets are freed by other threads, the end adds up. */
#include "support.h"

#include <pthread.h>

#define THREADS 4
#define ROUNDS 4000
#define MAILBOXES 64

struct letter {
    unsigned char *secret;
    size_t size_bytes;
    unsigned char value;
};

static struct ref_alloc_heap *heap;
static _Atomic(struct letter *) mailboxes[MAILBOXES];

static void open_letter(struct letter *letter)
{
    if (letter == NULL)
        return;
    if (!all_bytes_are(letter->secret, letter->size_bytes, letter->value))
        abort();
    ref_alloc_free(heap, letter->secret);
    free(letter);
}

static void *post_and_collect(void *seed)
{
    unsigned random = (unsigned)(uintptr_t)seed * 2654435761U;
    for (size_t round = 0; round < ROUNDS; round++) {
        random = random * 1664525U + 1013904223U;
        struct letter *letter = malloc(sizeof(*letter));
        letter->size_bytes =
            (random >> 8) % 100 < 90 ? (random >> 16) % 300 : (random >> 16) % 10000;
        letter->value = (unsigned char)(random >> 24);
        letter->secret = ref_alloc_allocate(heap, letter->size_bytes);
        if (letter->secret == NULL) {
            free(letter);
            continue;
        }
        if (!all_bytes_are(letter->secret, letter->size_bytes, 0))
            abort();
        memset(letter->secret, letter->value, letter->size_bytes);
        open_letter(atomic_exchange(&mailboxes[(random >> 4) % MAILBOXES], letter));
    }
    return NULL;
}

static void run(struct ref_alloc_config config)
{
    pthread_t threads[THREADS];
    heap = open_heap(config);
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, post_and_collect, (void *)(i + 1)), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_true(ref_alloc_validate(heap));
    for (size_t i = 0; i < MAILBOXES; i++)
        open_letter(atomic_exchange(&mailboxes[i], NULL));
    assert_true(ref_alloc_validate(heap));
    assert_true(ref_alloc_close(heap));
}

static void threads_share_a_heap(void **state)
{
    (void)state;
    run((struct ref_alloc_config){.placement = REF_ALLOC_PLACEMENT_PACKED});
    run((struct ref_alloc_config){.placement = REF_ALLOC_PLACEMENT_GUARDED});
}

static void threads_at_the_limit(void **state)
{
    (void)state;
    run((struct ref_alloc_config){.lock_budget_bytes = 24 * PAGE});
}

static void *open_default(void *unused)
{
    void *secret = ref_alloc_allocate(NULL, 32);
    if (secret != NULL)
        ref_alloc_free(NULL, secret);
    return unused;
}

static void threads_race_for_the_default_heap(void **state)
{
    (void)state;
    for (size_t round = 0; round < 50; round++) {
        pthread_t threads[THREADS];
        for (size_t i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, open_default, NULL), 0);
        for (size_t i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        assert_true(ref_alloc_validate(NULL));
        assert_true(ref_alloc_close(NULL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_share_a_heap),
        cmocka_unit_test(threads_at_the_limit),
        cmocka_unit_test(threads_race_for_the_default_heap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
