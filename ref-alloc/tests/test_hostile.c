/*
 * What a hostile program does to it: random work of several threads on several heaps at the limit, children in the
 * midst of it, limits that fall under what is locked, no mapping left, handlers that jump out. After each, all
 * invariants hold and the kernel's count is ours.
 */
#include "support.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define HEAPS 3
#define THREADS 3
#define PLACES 24

static struct ref_alloc_heap *heaps[HEAPS];
static size_t before_open;

static void set_limit(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
}

static void open_heaps(void (*fatal)(void *, const char *))
{
    before_open = locked_in_kernel();
    heaps[0] = open_heap((struct ref_alloc_config){.fatal = fatal});
    heaps[1] = open_heap((struct ref_alloc_config){
        .placement = REF_ALLOC_PLACEMENT_GUARDED, .fatal = fatal, .quarantine_spans = 3});
    heaps[2] = open_heap((struct ref_alloc_config){
        .fork = REF_ALLOC_FORK_ABSENT, .without_canary = true, .fatal = fatal});
}

static void assert_sound(void)
{
    size_t sum_bytes = 0;
    for (size_t i = 0; i < HEAPS; i++) {
        assert_true(ref_alloc_validate(heaps[i]));
        sum_bytes += locked_by(heaps[i]);
    }
    if (kernel_tells_locks())
        assert_int_equal(locked_in_kernel() - before_open, sum_bytes);
}

static void close_heaps(void)
{
    for (size_t i = 0; i < HEAPS; i++)
        assert_true(ref_alloc_close(heaps[i]));
    if (kernel_tells_locks())
        assert_int_equal(locked_in_kernel(), before_open);
}

/* ---- random work, each thread on places of its own ---- */

struct place {
    unsigned char *secret;
    size_t size_bytes, heap;
    unsigned char value;
};

struct worker {
    pthread_t id;
    uint32_t random;
    size_t rounds;
    struct place places[PLACES];
};

static uint32_t draw(struct worker *worker, uint32_t below)
{
    worker->random = worker->random * 1664525U + 1013904223U;
    return (uint32_t)(((uint64_t)worker->random * below) >> 32);
}

static size_t draw_size(struct worker *worker)
{
    const uint32_t limits[] = {64, 64, 700, 5000, 30000};
    return draw(worker, limits[draw(worker, 5)]);
}

/* Of any two steps between which it matters, one aborts where bytes are not as they should be. */
static void check(bool right)
{
    if (!right)
        abort();
}

static void fill_place(struct worker *worker, struct place *place)
{
    place->value = (unsigned char)(1 + draw(worker, 255));
    memset(place->secret, place->value, place->size_bytes);
}

static void work_on(struct worker *worker, struct place *place)
{
    if (place->secret == NULL) {
        place->heap = draw(worker, HEAPS);
        place->size_bytes = draw_size(worker);
        place->secret = ref_alloc_allocate(heaps[place->heap], place->size_bytes);
        if (place->secret == NULL)
            return;
        check(all_bytes_are(place->secret, place->size_bytes, 0));
        fill_place(worker, place);
        return;
    }
    check(all_bytes_are(place->secret, place->size_bytes, place->value));
    if (draw(worker, 3) != 0) {
        ref_alloc_free(heaps[place->heap], place->secret);
        place->secret = NULL;
        return;
    }
    size_t new_size_bytes = draw_size(worker);
    size_t kept = new_size_bytes < place->size_bytes ? new_size_bytes : place->size_bytes;
    unsigned char *resized = ref_alloc_resize(heaps[place->heap], place->secret, new_size_bytes);
    if (resized == NULL)
        return;
    check(all_bytes_are(resized, kept, place->value) &&
          all_bytes_are(resized + kept, new_size_bytes - kept, 0));
    place->secret = resized;
    place->size_bytes = new_size_bytes;
    fill_place(worker, place);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    for (size_t round = 0; round < worker->rounds; round++)
        work_on(worker, &worker->places[draw(worker, PLACES)]);
    return NULL;
}

static void free_all(struct worker *worker)
{
    for (size_t i = 0; i < PLACES; i++)
        if (worker->places[i].secret != NULL)
            ref_alloc_free(heaps[worker->places[i].heap], worker->places[i].secret);
    memset(worker->places, 0, sizeof(worker->places));
}

static struct worker workers[THREADS];

static void start(size_t rounds)
{
    for (uint32_t i = 0; i < THREADS; i++) {
        workers[i].random = 7919 * (i + 1);
        workers[i].rounds = rounds;
        assert_int_equal(pthread_create(&workers[i].id, NULL, work, &workers[i]), 0);
    }
}

static void finish(void)
{
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(workers[i].id, NULL);
    assert_sound();
    for (size_t i = 0; i < THREADS; i++)
        free_all(&workers[i]);
    assert_sound();
}

/* Every heap must still be usable to its last page, whatever idles in the others. */
static void assert_limit_is_usable(size_t pages)
{
    void *secrets[64];
    for (size_t heap = 0; heap < HEAPS; heap++) {
        for (size_t i = 0; i < pages; i++)
            assert_non_null(secrets[i] = ref_alloc_allocate(heaps[heap], PAGE));
        assert_null(ref_alloc_allocate(heaps[heap], PAGE));
        for (size_t i = 0; i < pages; i++)
            ref_alloc_free(heaps[heap], secrets[i]);
    }
}

static void threads_on_heaps_at_the_limit(void **state)
{
    (void)state;
    struct rlimit usual;
    assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &usual), 0);
    open_heaps(NULL);
    set_limit(16 * PAGE);
    start(12000);
    finish();
    assert_limit_is_usable(16);
    assert_sound();
    close_heaps();
    set_limit(usual.rlim_cur);
}

/* A child's work at the same limit, which is a new one for it: nothing it has inherited is locked. */
static int child(void)
{
    static struct worker own;
    own.random = 4711;
    own.rounds = 300;
    work(&own);
    free_all(&own);
    for (size_t i = 0; i < HEAPS; i++)
        if (!ref_alloc_validate(heaps[i]) || !ref_alloc_close(heaps[i]))
            return 1;
    return kernel_tells_locks() && locked_in_kernel() != 0;
}

static void children_in_the_midst_of_it(void **state)
{
    (void)state;
    struct rlimit usual;
    assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &usual), 0);
    open_heaps(NULL);
    set_limit(16 * PAGE);
    start(12000);
    for (size_t i = 0; i < 40; i++) {
        int status;
        pid_t pid =
            i % 2 != 0 ? fork() : (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
        if (pid == 0)
            LEAVE(child());
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    finish();
    close_heaps();
    set_limit(usual.rlim_cur);
}

/* ---- a limit that falls below what is locked ---- */

static void limit_lowered_under_live_secrets(void **state)
{
    (void)state;
    struct rlimit usual;
    unsigned char *secrets[8];
    size_t locked_bytes[HEAPS];
    assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &usual), 0);
    open_heaps(NULL);
    for (size_t i = 0; i < 8; i++) {
        secrets[i] = ref_alloc_allocate(heaps[i % HEAPS], i * 1000 + 1);
        memset(secrets[i], (int)i + 1, i * 1000 + 1);
    }
    for (size_t i = 0; i < HEAPS; i++)
        locked_bytes[i] = locked_by(heaps[i]);
    for (rlim_t pages = 4; pages-- > 0;) {
        set_limit(pages * PAGE);
        assert_null(ref_alloc_allocate(heaps[1], 20 * PAGE));
        assert_int_equal(errno, ENOMEM);
        assert_null(ref_alloc_resize(heaps[1], secrets[1], 9 * PAGE));
        assert_non_null(secrets[0] = ref_alloc_resize(heaps[0], secrets[0], 1)); /* in its slot */
        for (size_t i = 0; i < 8; i++)
            assert_true(all_bytes_are(secrets[i], i * 1000 + 1, (unsigned char)(i + 1)));
        assert_sound();
    }
    for (size_t i = 0; i < 8; i++)
        ref_alloc_free(heaps[i % HEAPS], secrets[i]);
    assert_sound();
    /* What still rests may be used again: that locks nothing more. */
    for (size_t i = 0; i < HEAPS; i++)
        assert_true(locked_by(heaps[i]) <= locked_bytes[i]);
    assert_null(ref_alloc_allocate(heaps[1], 20 * PAGE));
    set_limit(usual.rlim_cur);
    ref_alloc_free(heaps[1], ref_alloc_allocate(heaps[1], 20 * PAGE));
    close_heaps();
}

/* ---- no mapping left in the process ---- */

#define MAPPINGS 70000

/* Every second page of a reservation read-only: two mappings for each. How many; the last is where it ended. */
static unsigned char *use_up_mappings(size_t *size_bytes)
{
    *size_bytes = MAPPINGS * PAGE;
    unsigned char *start =
        mmap(NULL, *size_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED)
        return NULL;
    for (size_t i = 0; i < MAPPINGS; i += 2)
        if (mprotect(start + i * PAGE, PAGE, PROT_READ) != 0)
            return start;
    munmap(start, *size_bytes);
    return NULL; /* this system allows more */
}

static void no_mapping_left(void **state)
{
    (void)state;
    size_t size_bytes, refused = 0;
    unsigned char *secrets[6], *used;
    open_heaps(NULL);
    for (size_t i = 0; i < 6; i++) {
        secrets[i] = ref_alloc_allocate(heaps[i % HEAPS], 5000);
        memset(secrets[i], 5, 5000);
    }
    used = use_up_mappings(&size_bytes);
    for (size_t round = 0; used != NULL && round < 3; round++) {
        for (size_t size = 1; size < 300000; size *= 7) {
            void *secret = ref_alloc_allocate(heaps[round], size);
            if (secret == NULL)
                assert_true(errno == ENOMEM || errno == EAGAIN);
            else
                ref_alloc_free(heaps[round], secret);
            refused += secret == NULL;
        }
        ref_alloc_free(heaps[round], secrets[round]);
        assert_true(all_bytes_are(secrets[round + 3], 5000, 5));
        assert_sound();
    }
    if (used != NULL) {
        assert_true(refused > 0);
        munmap(used, size_bytes);
    }
    for (size_t i = used != NULL ? 3 : 0; i < 6; i++)
        ref_alloc_free(heaps[i % HEAPS], secrets[i]);
    void *again = ref_alloc_allocate(heaps[1], 40 * PAGE);
    assert_non_null(again);
    ref_alloc_free(heaps[1], again);
    assert_sound();
    close_heaps();
}

/* ---- misuse of every kind, again and again, with a handler that jumps out ---- */

static void misuse_of_every_kind(void **state)
{
    (void)state;
    size_t caught = 0;
    open_heaps(catch_fatal);
    static struct worker worker = {.random = 99};
    for (size_t round = 0; round < 600; round++) {
        struct ref_alloc_heap *heap = heaps[round % 2]; /* those with a canary */
        size_t size = 1 + draw_size(&worker) / 16 * 16; /* so that slack follows it */
        unsigned char *secret = ref_alloc_allocate(heap, size);
        assert_non_null(secret);
        memset(secret, 0x5c, size);
        switch (draw(&worker, 6)) {
        case 0:
            ref_alloc_free(heap, secret);
            caught += fatal_of(FREE, heap, secret, 0)[0] != '\0';
            break;
        case 1:
            caught += fatal_of(FREE, heaps[(round + 1) % 2], secret, 0)[0] != '\0';
            ref_alloc_free(heap, secret);
            break;
        case 2:
            caught += fatal_of(FREE, heap, secret + 1, 0)[0] != '\0';
            ref_alloc_free(heap, secret);
            break;
        case 3:
            damage(secret + size);
            caught += fatal_of(FREE, heap, secret, 0)[0] != '\0';
            break;
        case 4:
            damage(secret + size);
            caught += fatal_of(RESIZE, heap, secret, 3 * size)[0] != '\0';
            break;
        default:
            caught += fatal_of(RESIZE, heap, secret + 1, 3 * size)[0] != '\0';
            ref_alloc_free(heap, secret);
        }
        assert_int_equal(caught, round + 1);
        if (round % 50 == 0)
            assert_sound();
    }
    assert_sound();
    struct ref_alloc_statistics statistics;
    for (size_t i = 0; i < HEAPS; i++) {
        assert_true(ref_alloc_statistics(heaps[i], &statistics));
        assert_int_equal(statistics.live_secrets + statistics.live_bytes, 0);
    }
    close_heaps();
}

/* Two threads free the same secrets at the same time: each secret goes once, and whoever came second is told. */
static unsigned char *contested[64];
static _Atomic size_t double_frees;
static pthread_barrier_t both;

static void count_and_leave(void *arg, const char *message)
{
    (void)arg;
    if (strcmp(message, REF_ALLOC_FATAL_DOUBLE_FREE) == 0)
        atomic_fetch_add(&double_frees, 1);
    pthread_exit(NULL); /* as good as a longjmp, for a thread */
}

static void *free_one(void *secret)
{
    pthread_barrier_wait(&both);
    ref_alloc_free(heaps[0], secret);
    return NULL;
}

static void two_threads_free_the_same(void **state)
{
    (void)state;
    open_heaps(count_and_leave);
    pthread_barrier_init(&both, NULL, 2);
    for (size_t i = 0; i < 64; i++) {
        pthread_t threads[2];
        contested[i] = ref_alloc_allocate(heaps[0], i % 2 != 0 ? 32 : PAGE);
        assert_non_null(contested[i]);
        for (size_t t = 0; t < 2; t++)
            assert_int_equal(pthread_create(&threads[t], NULL, free_one, contested[i]), 0);
        for (size_t t = 0; t < 2; t++)
            pthread_join(threads[t], NULL);
        assert_int_equal(double_frees, i + 1);
        assert_sound();
    }
    pthread_barrier_destroy(&both);
    close_heaps();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_on_heaps_at_the_limit),
        cmocka_unit_test(children_in_the_midst_of_it),
        cmocka_unit_test(limit_lowered_under_live_secrets),
        cmocka_unit_test(no_mapping_left),
        cmocka_unit_test(misuse_of_every_kind),
        cmocka_unit_test(two_threads_free_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
