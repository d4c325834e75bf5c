/* What a child finds, and what it may do: after fork, after a raw clone, from a threaded program. */
#include "support.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* No atfork handler of any library runs for this one. */
static pid_t raw_clone(void)
{
    return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

static pid_t (*const forks[])(void) = {fork, raw_clone};

/* Runs `body` in a child; its answer is the child's exit status. */
static void in_child(pid_t (*make_child)(void), int (*body)(void))
{
    pid_t child = make_child();
    assert_true(child >= 0);
    if (child == 0)
        LEAVE(body());
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static struct ref_alloc_heap *heap;
static unsigned char *secrets[4];
static const size_t sizes[4] = {32, 700, 5000, 200000};
static bool absent;

#define LONG_FREED 12 /* more than rest in quarantine */

static void open_with(struct ref_alloc_config config)
{
    heap = open_heap(config);
    for (size_t i = 0; i < 4; i++) {
        secrets[i] = ref_alloc_allocate(heap, sizes[i]);
        assert_non_null(secrets[i]);
        memset(secrets[i], 0x33, sizes[i]);
    }
    for (size_t i = 0; i < LONG_FREED; i++) /* so many that the oldest is there no more */
        ref_alloc_free(heap, ref_alloc_allocate(heap, sizes[3]));
}

static void check_and_close(void)
{
    assert_true(ref_alloc_validate(heap));
    for (size_t i = 0; i < 4; i++) {
        assert_true(all_bytes_are(secrets[i], sizes[i], 0x33));
        ref_alloc_free(heap, secrets[i]);
    }
    assert_true(ref_alloc_close(heap));
}

#define CHECK(condition)           \
    do {                           \
        if (!(condition))          \
            return __LINE__ % 256; \
    } while (0)

static int finds_zeros(void)
{
    for (size_t i = 0; i < 4; i++)
        CHECK(all_bytes_are(secrets[i], sizes[i], 0));
    return 0;
}

static int finds_nothing(void)
{
    for (size_t i = 0; i < 4; i++)
        CHECK(traps(secrets[i], false));
    return 0;
}

static int inherited_pointers_are_only_freed(void)
{
    for (size_t i = 0; i < 4; i++) {
        CHECK(ref_alloc_usable_bytes(heap, secrets[i]) == 0);
        errno = 0;
        CHECK(ref_alloc_resize(heap, secrets[i], 10) == NULL && errno == EINVAL);
        CHECK(!ref_alloc_protect(heap, secrets[i], REF_ALLOC_ACCESS_READ) && errno == EINVAL);
        ref_alloc_free(heap, secrets[i]);
        ref_alloc_free(heap, secrets[i]);
    }
    return 0;
}

static int allocates_anew(void)
{
    struct ref_alloc_statistics statistics;
    unsigned char *fresh[4];
    CHECK(!kernel_tells_locks() || locked_in_kernel() == 0);
    CHECK(ref_alloc_statistics(heap, &statistics) && statistics.locked_bytes == 0 &&
          statistics.live_secrets == 0);
    for (size_t i = 0; i < 4; i++) {
        CHECK((fresh[i] = ref_alloc_allocate(heap, sizes[i])) != NULL);
        for (size_t j = 0; j < 4; j++)
            CHECK(fresh[i] != secrets[j]);
        CHECK(all_bytes_are(fresh[i], sizes[i], 0));
        memset(fresh[i], 1, sizes[i]);
        CHECK(ref_alloc_statistics(heap, &statistics));
        CHECK(!kernel_tells_locks() || locked_in_kernel() == statistics.locked_bytes);
        CHECK(ref_alloc_validate(heap));
    }
    for (size_t i = 0; i < 4; i++)
        ref_alloc_free(heap, fresh[i]);
    CHECK(ref_alloc_validate(heap));
    return 0;
}

static int allocates_and_closes(void)
{
    CHECK(allocates_anew() == 0);
    CHECK(inherited_pointers_are_only_freed() == 0);
    CHECK(ref_alloc_close(heap));
    CHECK(!kernel_tells_locks() || locked_in_kernel() == 0);
    return 0;
}

static int grandchild(void)
{
    unsigned char *mine = ref_alloc_allocate(heap, 32);
    CHECK(mine != NULL);
    memset(mine, 9, 32);
    pid_t child = raw_clone();
    if (child == 0)
        LEAVE(absent || all_bytes_are(mine, 32, 0) ? allocates_anew() : 1);
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(all_bytes_are(mine, 32, 9));
    ref_alloc_free(heap, mine);
    return 0;
}

static void *page_of(const void *secret)
{
    uintptr_t page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
    return (void *)((uintptr_t)secret / page_bytes * page_bytes);
}

static void *map_wishing_for(void *page)
{
    return mmap(page, (size_t)sysconf(_SC_PAGESIZE), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* Where it was absent somebody else's memory may be, and the address cannot be held. */
static int first_free_keeps_errno(void)
{
    CHECK((map_wishing_for(page_of(secrets[0])) == page_of(secrets[0])) == absent);
    errno = 0;
    ref_alloc_free(heap, secrets[0]);
    CHECK(errno == 0);
    return 0;
}

/* Absent or zero: nothing new may come to lie where an inherited pointer leads. */
static int addresses_stay_taken(void)
{
    CHECK(ref_alloc_allocate(heap, 32) != NULL);
    for (size_t i = 0; i < 4; i++)
        CHECK(map_wishing_for(page_of(secrets[i])) != page_of(secrets[i]));
    return 0;
}

static int (*const bodies[])(void) = {inherited_pointers_are_only_freed,
                                      allocates_anew,
                                      allocates_and_closes,
                                      first_free_keeps_errno,
                                      addresses_stay_taken,
                                      grandchild};
#define BODIES (sizeof(bodies) / sizeof(bodies[0]))

static void with_config(struct ref_alloc_config config, int (*finds)(void))
{
    absent = finds == finds_nothing;
    for (size_t f = 0; f < 2; f++) {
        open_with(config);
        in_child(forks[f], finds);
        for (size_t b = 0; b < BODIES; b++)
            in_child(forks[f], bodies[b]);
        check_and_close();
    }
}

static void child_finds_zeros(void **state)
{
    (void)state;
    with_config((struct ref_alloc_config){.placement = REF_ALLOC_PLACEMENT_PACKED}, finds_zeros);
    with_config((struct ref_alloc_config){.placement = REF_ALLOC_PLACEMENT_GUARDED}, finds_zeros);
}

static void child_finds_nothing(void **state)
{
    (void)state;
    with_config((struct ref_alloc_config){.fork = REF_ALLOC_FORK_ABSENT}, finds_nothing);
    struct ref_alloc_config config = {.secret_memory = true};
    struct ref_alloc_heap *probe;
    if (ref_alloc_open(&config, &probe)) {
        assert_true(ref_alloc_close(probe));
        with_config(config, finds_nothing);
    }
}

static int uses_default_heap(void)
{
    void *secret = ref_alloc_allocate(NULL, 64);
    CHECK(secret != NULL);
    ref_alloc_free(NULL, secret);
    CHECK(ref_alloc_validate(NULL));
    CHECK(ref_alloc_close(NULL));
    return 0;
}

static void default_heap_in_child(void **state)
{
    (void)state;
    for (size_t f = 0; f < 2; f++) {
        in_child(forks[f], uses_default_heap);
        void *secret = ref_alloc_allocate(NULL, 64);
        in_child(forks[f], uses_default_heap);
        ref_alloc_free(NULL, secret);
        assert_true(ref_alloc_close(NULL));
    }
}

/* Children made at any moment of other threads' work: their locks and lists must not matter. */
static _Atomic bool stop;

static void *churn(void *unused)
{
    while (!stop) {
        void *a = ref_alloc_allocate(heap, 32), *b = ref_alloc_allocate(heap, 3000);
        if (a != NULL)
            ref_alloc_free(heap, a);
        if (b != NULL)
            ref_alloc_free(heap, b);
    }
    return unused;
}

static void child_of_a_threaded_program(void **state)
{
    (void)state;
    pthread_t threads[2];
    open_with((struct ref_alloc_config){0});
    stop = false;
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, NULL), 0);
    for (size_t round = 0; round < 100; round++)
        in_child(forks[round % 2], round % 4 < 2 ? allocates_anew : allocates_and_closes);
    stop = true;
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    check_and_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(child_finds_zeros),
        cmocka_unit_test(child_finds_nothing),
        cmocka_unit_test(default_heap_in_child),
        cmocka_unit_test(child_of_a_threaded_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
