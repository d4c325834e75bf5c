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
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker.h"

#define MAX_ALLOCATORS 16
#define MAX_ROUNDS 101
#define MAX_LIVE_BYTES ((size_t)64 << 20)

static const char *const pattern_names[] = {"same", "random"};
static size_t rounds = 11;

/* ---- the crew ---- */

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
            worker_burst_ns = (double)value * 1e6;
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
