/* worker.c - see worker.h. */
#include "worker.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define OPERATIONS_BETWEEN_CLOCKS 16

double worker_burst_ns = 4e6;
static const double warm_up_ns = 2e6;

struct thread {
    pthread_t id;
    const struct allocator *allocator;
    bool one_of_many;
    size_t number, size_bytes, live;
    void **secrets;
    struct cost cost;
    char why_not[120];
};

static pthread_barrier_t start_line, finish_line;
static enum pattern current_pattern;

static double clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

double now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

/* The kernel refuses to page out what is locked, with EINVAL (mm/madvise.c). */
bool is_locked(const void *secret, size_t size_bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uintptr_t first = (uintptr_t)secret & ~(page - 1),
              end = (uintptr_t)secret + (size_bytes == 0 ? 1 : size_bytes);
    for (uintptr_t at = first; at < end; at += page)
        if (madvise((void *)at, page, MADV_PAGEOUT) == 0 || errno != EINVAL)
            return false;
    return true;
}

static struct usage measure_usage(void)
{
    struct usage usage = {0, 0, 0};
    char line[512];
    double kib;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "VmLck: %lf", &kib) == 1)
            usage.locked_bytes = kib * 1024;
        if (sscanf(line, "VmRSS: %lf", &kib) == 1)
            usage.resident_bytes = kib * 1024;
    }
    if (file != NULL)
        fclose(file);
    file = fopen("/proc/self/maps", "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        usage.mappings += strchr(line, '\n') != NULL;
    if (file != NULL)
        fclose(file);
    return usage;
}

static bool pair_same(struct thread *thread)
{
    unsigned char *secret = thread->allocator->allocate(thread->size_bytes);
    if (secret == NULL)
        return false;
    *(volatile unsigned char *)secret = 1;
    thread->allocator->release(secret, thread->size_bytes);
    return true;
}

static bool pair_random(struct thread *thread, uint32_t *random)
{
    *random = *random * 1664525U + 1013904223U;
    void **place = &thread->secrets[(uint32_t)(((uint64_t)*random * thread->live) >> 32)];
    thread->allocator->release(*place, thread->size_bytes);
    *place = thread->allocator->allocate(thread->size_bytes);
    if (*place == NULL)
        return false;
    *(volatile unsigned char *)*place = 1;
    return true;
}

/* Works for so long. */
static struct cost work_for(struct thread *thread, enum pattern pattern, double limit_ns)
{
    uint32_t random = (uint32_t)(uintptr_t)thread ^ (uint32_t)(uint64_t)now_ns();
    size_t pairs = 0;
    double cpu_start = clock_ns(CLOCK_THREAD_CPUTIME_ID), start = now_ns(), elapsed;
    do {
        for (size_t i = 0; i < OPERATIONS_BETWEEN_CLOCKS; i++)
            if (!(pattern == SAME ? pair_same(thread) : pair_random(thread, &random)))
                return (struct cost){-1, -1};
        pairs += OPERATIONS_BETWEEN_CLOCKS;
        elapsed = now_ns() - start;
    } while (elapsed < limit_ns);
    double cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_start;
    return (struct cost){elapsed / (double)pairs, cpu / (double)pairs};
}

/* An allocator that keeps to RLIMIT_MEMLOCK with CAP_IPC_LOCK too is refused by that, where others are not. */
static void say_refused(struct thread *thread, size_t count)
{
    int error = errno;
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    getrlimit(RLIMIT_MEMLOCK, &limit);
    if (limit.rlim_cur == RLIM_INFINITY)
        snprintf(thread->why_not, sizeof(thread->why_not), "a thread can have only %zu: %s", count,
                 strerror(error));
    else
        snprintf(thread->why_not, sizeof(thread->why_not),
                 "a thread can have only %zu: %s (RLIMIT_MEMLOCK is %zu KiB)", count,
                 error == ENOMEM ? "ENOMEM" : strerror(error), (size_t)limit.rlim_cur / 1024);
}

/* false: not all can live at once, or not within the time. */
static bool set_up_secrets(struct thread *thread)
{
    double start = now_ns();
    thread->secrets = calloc(thread->live + 1, sizeof(void *));
    for (size_t i = 0; i < thread->live; i++) {
        unsigned char *secret = thread->allocator->allocate(thread->size_bytes);
        thread->secrets[i] = secret;
        if (secret == NULL) {
            say_refused(thread, i);
            return false;
        }
        *(volatile unsigned char *)secret = 1;
        if (now_ns() - start > SETUP_LIMIT_NS) {
            snprintf(thread->why_not, sizeof(thread->why_not),
                     "a thread made only %zu in 2 seconds", i);
            return false;
        }
    }
    return true;
}

/* Of several threads each keeps to a processor of its own, if there are so many: two that share one never interrupt
 * each other, and what they cost then is what one alone costs. */
static void keep_to_processor(size_t number)
{
    cpu_set_t all, own;
    CPU_ZERO(&own);
    if (sched_getaffinity(0, sizeof(all), &all) != 0)
        return;
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &all) && number-- == 0) {
            CPU_SET(cpu, &own);
            sched_setaffinity(0, sizeof(own), &own);
            return;
        }
}

/* Each thread makes its own secrets, then works whenever all are told to start. */
static void *work(void *argument)
{
    struct thread *thread = argument;
    if (thread->one_of_many)
        keep_to_processor(thread->number);
    pthread_barrier_wait(&start_line);
    set_up_secrets(thread);
    pthread_barrier_wait(&finish_line);
    for (;;) {
        pthread_barrier_wait(&start_line);
        work_for(thread, current_pattern, warm_up_ns);
        thread->cost = work_for(thread, current_pattern, worker_burst_ns);
        pthread_barrier_wait(&finish_line);
    }
    return NULL;
}

static void check_locked(const struct thread *threads, size_t count, struct state *state)
{
    if (threads->allocator->role == ROLE_UNPROTECTED || state->why_not[0] != '\0')
        return;
    for (size_t t = 0; t < count; t++) {
        for (size_t i = 0; i < threads[t].live; i++) {
            if (threads[t].secrets[i] == NULL ||
                !is_locked(threads[t].secrets[i], threads[t].size_bytes)) {
                snprintf(state->why_not, sizeof(state->why_not), "a live secret is not locked");
                return;
            }
        }
    }
}

/* One secret of its own, so that a row with none alive is checked too. */
static void check_one(const struct thread *thread, struct state *state)
{
    unsigned char *secret = thread->allocator->allocate(thread->size_bytes);
    if (secret == NULL) {
        snprintf(state->why_not, sizeof(state->why_not), "no secret could be had: %s",
                 strerror(errno));
        return;
    }
    *(volatile unsigned char *)secret = 1;
    if (thread->allocator->role != ROLE_UNPROTECTED && !is_locked(secret, thread->size_bytes))
        snprintf(state->why_not, sizeof(state->why_not), "the secret is not locked");
    thread->allocator->release(secret, thread->size_bytes);
}

static void start_threads(struct thread *threads, size_t count)
{
    pthread_barrier_init(&start_line, NULL, (unsigned)count + 1);
    pthread_barrier_init(&finish_line, NULL, (unsigned)count + 1);
    for (size_t t = 0; t < count; t++)
        pthread_create(&threads[t].id, NULL, work, &threads[t]);
}

static void set_up(struct thread *threads, size_t count, const struct need *need,
                   struct state *state)
{
    memset(state, 0, sizeof(*state));
    if (threads->allocator->open != NULL && !threads->allocator->open(need)) {
        snprintf(state->why_not, sizeof(state->why_not), "it did not open: %s", strerror(errno));
        return;
    }
    check_one(threads, state);
    if (state->why_not[0] != '\0')
        return;
    start_threads(threads, count);
    struct usage before = measure_usage();
    pthread_barrier_wait(&start_line);
    pthread_barrier_wait(&finish_line);
    for (size_t t = 0; t < count; t++)
        if (threads[t].why_not[0] != '\0')
            memcpy(state->why_not, threads[t].why_not, sizeof(state->why_not));
    struct usage after = measure_usage();
    double live = need->live == 0 ? 1 : (double)need->live;
    state->per_secret = (struct usage){(after.locked_bytes - before.locked_bytes) / live,
                                       (after.resident_bytes - before.resident_bytes) / live,
                                       (after.mappings - before.mappings) / live};
    check_locked(threads, count, state);
}

static struct cost one_burst(struct thread *threads, size_t count, enum pattern pattern)
{
    struct cost sum = {0, 0};
    current_pattern = pattern;
    pthread_barrier_wait(&start_line);
    pthread_barrier_wait(&finish_line);
    for (size_t t = 0; t < count; t++) {
        if (threads[t].cost.wall_ns < 0)
            return threads[t].cost;
        sum.wall_ns += threads[t].cost.wall_ns / (double)count;
        sum.cpu_ns += threads[t].cost.cpu_ns / (double)count;
    }
    return sum;
}

/* Commands: a pattern to run a burst of, or anything else to say at last whether all is still locked. */
void worker(const struct allocator *allocator, const struct need *need, size_t thread_count, int in,
            int out)
{
    static struct thread threads[MAX_THREADS];
    struct state state;
    char command;
    for (size_t t = 0; t < thread_count; t++)
        threads[t] = (struct thread){.one_of_many = thread_count > 1,
                                     .number = t,
                                     .allocator = allocator,
                                     .size_bytes = need->size_bytes,
                                     .live = need->live / thread_count};
    set_up(threads, thread_count, need, &state);
    if (write(out, &state, sizeof(state)) != (ssize_t)sizeof(state) || state.why_not[0] != '\0')
        _exit(0);
    while (read(in, &command, 1) == 1 && command < (char)PATTERNS) {
        struct cost cost = one_burst(threads, thread_count, (enum pattern)command);
        if (write(out, &cost, sizeof(cost)) != (ssize_t)sizeof(cost))
            _exit(1);
    }
    check_locked(threads, thread_count, &state);
    if (write(out, &state, sizeof(state)) != (ssize_t)sizeof(state))
        _exit(1);
    _exit(0);
}
