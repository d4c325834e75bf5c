/*
 * bench.c - measures every allocator doing the same work, in one run: bench [--rounds N] [--burst-ms N] > rows.tsv
 *
 * For each size, number of threads and number of live secrets, every allocator gets a process of its own, which
 * sets up its live secrets and then waits. The parent lets them work in turn, a burst each, round after round:
 *
 *     round 1:  A B C D ...   round 2:  A B C D ...        so that a busy moment of the machine hits all alike
 *
 * Work: `same` allocates, touches and frees one secret; `random` frees one of the live secrets and allocates
 * another in its place. A row counts only if the pages of all live secrets were seen locked, before and after.
 * `report` judges what is printed here.
 */
#include <errno.h>
#include <linux/capability.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "allocator.h"

#define MAX_ALLOCATORS 16
#define MAX_THREADS 2
#define MAX_ROUNDS 101
#define SETUP_LIMIT_NS 2e9
#define MAX_LIVE_BYTES ((size_t)64 << 20)
#define OPERATIONS_BETWEEN_CLOCKS 16

enum pattern { SAME, RANDOM, PATTERNS };
static const char *const pattern_names[] = {"same", "random"};

static size_t rounds = 11;
static double burst_ns = 4e6, warm_up_ns = 2e6;

struct usage {
    double locked_bytes, resident_bytes, mappings;
};

/* What a worker says once its secrets are set up, and again at the end. */
struct state {
    char why_not[80]; /* "" if all is well */
    struct usage per_secret;
};

/* Of one pair: by the clock on the wall, and by what this thread had of the processor. Negative: it failed. */
struct cost {
    double wall_ns, cpu_ns;
};

struct thread {
    pthread_t id;
    const struct allocator *allocator;
    size_t size_bytes, live;
    void **secrets;
    struct cost cost;
    char why_not[80];
};

static pthread_barrier_t start_line, finish_line;
static enum pattern current_pattern;

static double clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

/* ---- inside a worker ---- */

/* The kernel refuses to page out what is locked, with EINVAL (mm/madvise.c). */
static bool is_locked(const void *secret, size_t size_bytes)
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

/* false: not all can live at once, or not within the time. */
static bool set_up_secrets(struct thread *thread)
{
    double start = now_ns();
    thread->secrets = calloc(thread->live + 1, sizeof(void *));
    for (size_t i = 0; i < thread->live; i++) {
        unsigned char *secret = thread->allocator->allocate(thread->size_bytes);
        thread->secrets[i] = secret;
        if (secret == NULL) {
            snprintf(thread->why_not, sizeof(thread->why_not), "a thread can have only %zu: %s", i,
                     strerror(errno));
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

/* Each thread makes its own secrets, then works whenever all are told to start. */
static void *work(void *argument)
{
    struct thread *thread = argument;
    pthread_barrier_wait(&start_line);
    set_up_secrets(thread);
    pthread_barrier_wait(&finish_line);
    for (;;) {
        pthread_barrier_wait(&start_line);
        work_for(thread, current_pattern, warm_up_ns);
        thread->cost = work_for(thread, current_pattern, burst_ns);
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
static void worker(const struct allocator *allocator, const struct need *need, size_t thread_count,
                   int in, int out)
{
    static struct thread threads[MAX_THREADS];
    struct state state;
    char command;
    for (size_t t = 0; t < thread_count; t++)
        threads[t] = (struct thread){.allocator = allocator,
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

/* ---- the parent ---- */

struct crew {
    const struct allocator *allocator;
    pid_t pid;
    int to, from;
    bool works;
    struct state state;
    double wall_ns[PATTERNS][MAX_ROUNDS], cpu_ns[PATTERNS][MAX_ROUNDS];
};

static void close_all_but(int keep_one, int keep_other)
{
    for (int fd = 3; fd < 256; fd++)
        if (fd != keep_one && fd != keep_other)
            close(fd);
}

static void hire(struct crew *crew, const struct allocator *allocator, const struct need *need,
                 size_t threads)
{
    int down[2], up[2];
    *crew = (struct crew){.allocator = allocator};
    if (pipe(down) != 0 || pipe(up) != 0) {
        perror("bench: pipe");
        exit(2);
    }
    fflush(stdout);
    crew->pid = fork();
    if (crew->pid == 0) {
        close_all_but(down[0], up[1]);
        worker(allocator, need, threads, down[0], up[1]);
    }
    close(down[0]);
    close(up[1]);
    crew->to = down[1];
    crew->from = up[0];
    if (read(crew->from, &crew->state, sizeof(crew->state)) != (ssize_t)sizeof(crew->state))
        snprintf(crew->state.why_not, sizeof(crew->state.why_not), "its process died at set-up");
    crew->works = crew->state.why_not[0] == '\0';
}

static void let_work(struct crew *crew, enum pattern pattern, size_t round)
{
    char command = (char)pattern;
    struct cost cost = {-1, -1};
    if (!crew->works)
        return;
    if (write(crew->to, &command, 1) == 1 &&
        read(crew->from, &cost, sizeof(cost)) == (ssize_t)sizeof(cost) && cost.wall_ns >= 0) {
        crew->wall_ns[pattern][round] = cost.wall_ns;
        crew->cpu_ns[pattern][round] = cost.cpu_ns;
        return;
    }
    crew->works = false;
    snprintf(crew->state.why_not, sizeof(crew->state.why_not), "it failed during the work");
}

static void dismiss(struct crew *crew)
{
    char command = (char)PATTERNS;
    if (crew->works &&
        (write(crew->to, &command, 1) != 1 ||
         read(crew->from, &crew->state, sizeof(crew->state)) != (ssize_t)sizeof(crew->state)))
        snprintf(crew->state.why_not, sizeof(crew->state.why_not), "its process died");
    close(crew->to);
    close(crew->from);
    waitpid(crew->pid, NULL, 0);
}

static int compare_doubles(const void *left, const void *right)
{
    double a, b;
    memcpy(&a, left, sizeof(a));
    memcpy(&b, right, sizeof(b));
    return (a > b) - (a < b);
}

/* The quartiles of the rounds. */
static void print_quartiles(double *samples)
{
    qsort(samples, rounds, sizeof(*samples), compare_doubles);
    printf("\t%.1f\t%.1f\t%.1f", samples[rounds / 4], samples[rounds / 2],
           samples[rounds - 1 - rounds / 4]);
}

static void print_row(struct crew *crew, const struct need *need, size_t threads,
                      enum pattern pattern)
{
    const struct usage *usage = &crew->state.per_secret;
    printf("time\t%s\t%zu\t%zu\t%zu\t%s", crew->allocator->name, need->size_bytes, threads,
           need->live, pattern_names[pattern]);
    print_quartiles(crew->wall_ns[pattern]);
    print_quartiles(crew->cpu_ns[pattern]);
    printf("\t%.0f\t%.0f\t%.2f\t%s\n", usage->locked_bytes, usage->resident_bytes, usage->mappings,
           crew->state.why_not);
}

static void compare_at(const struct need *need, size_t threads)
{
    static struct crew crews[MAX_ALLOCATORS];
    size_t count = 0, patterns = need->live == 0 ? 1 : PATTERNS;
    for (; allocators[count] != NULL; count++)
        hire(&crews[count], allocators[count], need, threads);
    for (size_t pattern = 0; pattern < patterns; pattern++)
        for (size_t round = 0; round < rounds; round++)
            for (size_t i = 0; i < count; i++)
                let_work(&crews[i], (enum pattern)pattern, round);
    for (size_t i = 0; i < count; i++) {
        dismiss(&crews[i]);
        for (size_t pattern = 0; pattern < patterns; pattern++)
            print_row(&crews[i], need, threads, (enum pattern)pattern);
    }
    fflush(stdout);
}

/* ---- how many fit under a limit ---- */

/* In a process without CAP_IPC_LOCK, so that the kernel keeps the limit, too. */
static bool lower_limit(size_t limit_bytes)
{
    struct rlimit limit = {limit_bytes, limit_bytes};
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    memset(data, 0, sizeof(data));
    return setrlimit(RLIMIT_MEMLOCK, &limit) == 0 && syscall(SYS_capset, &header, data) == 0;
}

static size_t count_fitting(const struct allocator *allocator, const struct need *need)
{
    size_t count = 0;
    double start = now_ns();
    if (allocator->open != NULL && !allocator->open(need))
        return 0;
    while (count < 1000000 && now_ns() - start < SETUP_LIMIT_NS) {
        unsigned char *secret = allocator->allocate(need->size_bytes);
        if (secret == NULL || !is_locked(secret, need->size_bytes))
            break;
        *(volatile unsigned char *)secret = 1;
        count++;
    }
    return count;
}

static void fit(const struct allocator *allocator, size_t size_bytes, size_t limit_bytes)
{
    int up[2];
    size_t count = 0;
    struct need need = {.size_bytes = size_bytes, .live = 0, .limit_bytes = limit_bytes};
    if (allocator->role == ROLE_UNPROTECTED || pipe(up) != 0)
        return;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        count = lower_limit(limit_bytes) ? count_fitting(allocator, &need) : 0;
        _exit(write(up[1], &count, sizeof(count)) != (ssize_t)sizeof(count));
    }
    close(up[1]);
    if (read(up[0], &count, sizeof(count)) != (ssize_t)sizeof(count))
        count = 0;
    close(up[0]);
    waitpid(pid, NULL, 0);
    printf("fit\t%s\t%zu\t%zu\t%zu\n", allocator->name, size_bytes, limit_bytes, count);
}

/* ---- */

static bool read_options(int count, char **words)
{
    for (int i = 1; i < count; i += 2) {
        long value = i + 1 < count ? strtol(words[i + 1], NULL, 10) : 0;
        if (value <= 0)
            return false;
        if (strcmp(words[i], "--rounds") == 0 && value <= MAX_ROUNDS)
            rounds = (size_t)value;
        else if (strcmp(words[i], "--burst-ms") == 0)
            burst_ns = (double)value * 1e6;
        else
            return false;
    }
    return true;
}

int main(int count, char **words)
{
    static const size_t sizes[] = {32, 256, 4096, 65536}, lives[] = {0, 100, 10000, 100000};
    static const size_t limits[] = {65536, (size_t)8 << 20};
    if (!read_options(count, words)) {
        fprintf(stderr, "usage: bench [--rounds 1..%d] [--burst-ms N] > rows.tsv\n", MAX_ROUNDS);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; allocators[i] != NULL; i++)
        for (size_t l = 0; l < 2; l++)
            fit(allocators[i], 32, limits[l]);
    struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
    if (setrlimit(RLIMIT_MEMLOCK, &none) != 0)
        fprintf(stderr,
                "bench: RLIMIT_MEMLOCK stays as it is (%s): rows with many secrets won't count\n",
                strerror(errno));
    for (size_t s = 0; s < 4; s++)
        for (size_t l = 0; l < 4; l++)
            for (size_t threads = 1;
                 threads <= MAX_THREADS && sizes[s] * lives[l] <= MAX_LIVE_BYTES; threads++)
                compare_at(&(struct need){.size_bytes = sizes[s], .live = lives[l]}, threads);
    return 0;
}
