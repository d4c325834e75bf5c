/* SPDX-License-Identifier: MIT */
/*
 * storm.c: several threads that allocate and free at the same time, for as many rounds each.
 *
 *     each thread   | . | A | . | B | . | . | C | . |    RING places
 *                         ^ a round takes one: empty: alloc, plant, remember a sum of the bytes
 *                                              full:  is it locked, is the sum the same? free
 *     post          | B | . | D | . |            POSTS places, common to all
 *                         ^ before that, one place in four is exchanged for one of these: what one
 *                           thread allocated another frees
 *
 * Only a sum of a secret is kept, never a byte of it. What a thread may not do, crash or be ended by
 * the subject, it leaves to the first thread: that one has the landing place.
 */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "machine.h"
#include "raw.h"

#define RING 8u
#define POSTS 4u
#define STORM_ALIGN_BYTES 64u
#define STACK_BYTES ((size_t)256 << 10)

struct held {
    unsigned char *p;
    uint64_t sum;
    bool locked;
};

struct storm {
    struct machine *machine;
    size_t size_bytes, rounds;
    bool locks_known;
    _Atomic uint32_t running; /* threads; a futex */
    _Atomic bool died;
    _Atomic uint32_t fills, turns;
    _Atomic int32_t error; /* of the first refusal */
    _Atomic uint64_t handed_out, whole, locked, bad_address;
    _Atomic uint32_t begun; /* threads */
    struct held places[MODEL_STORM_THREADS_MAX][RING], post_places[POSTS];
    struct held *_Atomic posts[POSTS];
};

static _Thread_local struct storm *storm_here;

/* FNV-1a: http://www.isthe.com/chongo/tech/comp/fnv/ */
static uint64_t sum_of(const unsigned char *p, size_t size_bytes)
{
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < size_bytes; i++)
        sum = (sum ^ ((const volatile unsigned char *)p)[i]) * UINT64_C(0x100000001b3);
    return sum;
}

static bool all_locked(const struct storm *storm, const unsigned char *p)
{
    const struct machine *m = storm->machine;
    struct machine_pages pages = machine_pages(m, (uintptr_t)p, storm->size_bytes);
    for (size_t i = 0; storm->locks_known && i < pages.count; i++)
        if (!machine_page_locked(m, pages.first + i * m->host->page_bytes))
            return false;
    return storm->locks_known;
}

/* Half a secret, resized to a whole one: it holds nothing yet. */
static unsigned char *take_resized(const struct machine *m, size_t size_bytes)
{
    size_t half_bytes = size_bytes / 2;
    unsigned char *half = m->variant->alloc(m->context, half_bytes);
    if (half == NULL)
        return NULL;
    unsigned char *p = m->variant->resize(m->context, half, half_bytes, size_bytes);
    int error = errno;
    if (p == NULL)
        m->variant->free(m->context, half, half_bytes);
    errno = error;
    return p;
}

/* By each way to a secret that is offered, in turn. */
static unsigned char *take_by(const struct machine *m, uint32_t turn, size_t size_bytes)
{
    unsigned char *p = NULL;
    if (turn % 4 == 1 && m->variant->resize != NULL && size_bytes > 1)
        return take_resized(m, size_bytes);
    if (turn % 4 == 3 && m->variant->alloc_aligned != NULL)
        p = m->variant->alloc_aligned(m->context, STORM_ALIGN_BYTES, size_bytes);
    if (p != NULL)
        return p;
    errno = 0; /* it may be unable to align so */
    return m->variant->alloc(m->context, size_bytes);
}

/* False: alloc said no, or its memory is bad. */
static bool take(struct storm *storm, struct held *held)
{
    const struct machine *m = storm->machine;
    int32_t none = 0;
    errno = 0;
    unsigned char *p = take_by(m, atomic_fetch_add(&storm->turns, 1), storm->size_bytes);
    if (p == NULL) {
        atomic_compare_exchange_strong(&storm->error, &none, errno == 0 ? EINVAL : errno);
        return false;
    }
    atomic_fetch_add(&storm->handed_out, 1);
    uint32_t fill = atomic_fetch_add(&storm->fills, 1) + 1;
    if (!m->host->plant(m->host->arg, fill, p, storm->size_bytes)) {
        atomic_store(&storm->bad_address, (uintptr_t)p);
        return false;
    }
    *held = (struct held){p, sum_of(p, storm->size_bytes), all_locked(storm, p)};
    return true;
}

static void give(struct storm *storm, struct held *held)
{
    const struct machine *m = storm->machine;
    if (sum_of(held->p, storm->size_bytes) == held->sum)
        atomic_fetch_add(&storm->whole, 1);
    if (held->locked && all_locked(storm, held->p))
        atomic_fetch_add(&storm->locked, 1);
    m->variant->free(m->context, held->p, storm->size_bytes);
    held->p = NULL;
}

static void rounds_run(struct storm *storm)
{
    struct held *ring[RING], *own = storm->places[atomic_fetch_add(&storm->begun, 1)];
    for (size_t i = 0; i < RING; i++)
        ring[i] = &own[i];
    uint32_t random = (uint32_t)(uintptr_t)&ring >> 4 | 1; /* any order will do */
    bool going = true;
    for (size_t round = 0; going && round < storm->rounds; round++) {
        random ^= random << 13; /* xorshift32 (Marsaglia 2003) */
        random ^= random >> 17;
        random ^= random << 5;
        struct held **place = &ring[random % RING], *held = *place;
        if ((random >> 16) % 4 == 0)
            *place = held = atomic_exchange(&storm->posts[(random >> 8) % POSTS], held);
        if (held->p != NULL)
            give(storm, held);
        else
            going = take(storm, held) || atomic_load(&storm->bad_address) == 0;
    }
    for (size_t i = 0; i < RING; i++)
        if (ring[i]->p != NULL)
            give(storm, ring[i]);
}

/* What is still in the post when the threads have ended: the first one frees it. */
static void posts_empty(struct storm *storm)
{
    for (size_t i = 0; i < POSTS; i++) {
        struct held *held = atomic_load(&storm->posts[i]);
        if (held->p != NULL)
            give(storm, held);
    }
}

static void wake_first(struct storm *storm)
{
    raw_call3(SYS_futex, &storm->running, FUTEX_WAKE_PRIVATE, 1);
}

static void *storm_thread(void *arg)
{
    struct storm *storm = arg;
    storm_here = storm;
    rounds_run(storm);
    storm_here = NULL;
    if (atomic_fetch_sub(&storm->running, 1) == 1)
        wake_first(storm);
    return NULL;
}

bool storm_has_thread(void)
{
    return storm_here != NULL;
}

_Noreturn void storm_fall(void (*report)(struct machine *m))
{
    struct storm *storm = storm_here;
    if (!atomic_exchange(&storm->died, true)) {
        report(storm->machine);
        atomic_store(&storm->running, 0);
        wake_first(storm);
    }
    for (;;) /* the process is about to end */
        raw_call0(SYS_pause);
}

static void await_all(struct storm *storm)
{
    uint32_t running;
    while ((running = atomic_load(&storm->running)) != 0 && running <= MODEL_STORM_THREADS_MAX)
        raw_call4(SYS_futex, &storm->running, FUTEX_WAIT_PRIVATE, running, 0);
}

/* As many as can be had start at once; they are not waited for by pthread_join: one may have died. */
static unsigned threads_start(struct storm *storm, pthread_t *threads, unsigned wanted)
{
    pthread_attr_t attributes;
    unsigned started = 0;
    if (pthread_attr_init(&attributes) != 0)
        return 0;
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    while (started < wanted &&
           pthread_create(&threads[started], &attributes, storm_thread, storm) == 0)
        started++;
    pthread_attr_destroy(&attributes);
    return started;
}

static void events_fill(struct machine *m, struct storm *storm)
{
    struct model_event *e = &m->event;
    m->fills = atomic_load(&storm->fills);
    e->slot_fill = m->fills;
    e->error = atomic_load(&storm->error);
    e->count = atomic_load(&storm->handed_out);
    e->count_good = atomic_load(&storm->whole);
    e->count_locked = storm->locks_known ? atomic_load(&storm->locked) : UINT64_MAX;
    if (atomic_load(&storm->bad_address) != 0)
        machine_trapped(
            m, &(struct trap_fault){.signal = SIGSEGV, .address = (uintptr_t)storm->bad_address});
    else if (e->count == 0)
        machine_refused(m, e->error);
}

void machine_storm(struct machine *m)
{
    /* Not on the stack: a thread that is stuck in the subject may outlive this call. */
    static struct storm storm;
    pthread_t threads[MODEL_STORM_THREADS_MAX];
    unsigned wanted = m->operation->slot;
    if (!m->host->parallel || m->event.size_bytes > MODEL_STORM_SIZE_MAX) {
        machine_skipped(m);
        return;
    }
    storm = (struct storm){.machine = m,
                           .size_bytes = (size_t)m->event.size_bytes,
                           .rounds = (size_t)1 << m->operation->arg,
                           .locks_known = machine_pageout_known(),
                           .running = wanted,
                           .fills = m->fills};
    for (size_t i = 0; i < POSTS; i++)
        atomic_store(&storm.posts[i], &storm.post_places[i]);
    unsigned started = threads_start(&storm, threads, wanted);
    atomic_fetch_sub(&storm.running, wanted - started);
    await_all(&storm);
    if (atomic_load(&storm.died))
        trap_fall();
    for (unsigned i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    posts_empty(&storm);
    events_fill(m, &storm);
    if (started < wanted)
        machine_skipped(m);
}
