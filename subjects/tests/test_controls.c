/* SPDX-License-Identifier: MIT */
/*
 * test_controls.c: looks at both controls by hand, with nothing of the suite in between: every
 * check here must pass on the correct one and fail on the leaking one.
 *
 * A check runs in a child of its own, loads the control there, and exits with HOLDS or BROKEN. It
 * ends in anything else (a crash, a failed set-up) only by mistake, and then the test fails.
 */
#include <cap-ng.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "contract/strongroom.h"

enum { HOLDS = 40, BROKEN = 41, SETUP_FAILED = 42 };

static const struct secret_alloc *a;
static void *context;
static jmp_buf caught;
static size_t page;

static void need(bool condition)
{
    if (!condition)
        _exit(SETUP_FAILED);
}

static void on_fatal(void *arg, const char *message)
{
    (void)arg;
    need(message && message[0]);
    longjmp(caught, 1);
}

static void open_again(size_t budget)
{
    const struct secret_config config = {
        .size = sizeof config, .lock_budget_bytes = budget, .fatal = on_fatal};
    need(a->open(&config, &context) == 0);
}

/* ----------------------------------------------------------------------- ways of looking */

static void fill(void *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((unsigned char *)p)[i] = (unsigned char)(0x80 | (i * 37 + 11));
}

static bool filled(const void *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (((const unsigned char *)p)[i] != (unsigned char)(0x80 | (i * 37 + 11)))
            return false;
    }
    return true;
}

static void *filled_alloc(size_t n)
{
    void *p = a->alloc(context, n);
    need(p != NULL);
    fill(p, n);
    return p;
}

/* Are the n bytes at address zero, or not there? Reads past any protection. */
static bool gone(uintptr_t address, size_t n)
{
    static unsigned char bytes[65536];
    int memory = open("/proc/self/mem", O_RDONLY);
    need(memory >= 0 && n <= sizeof bytes);
    ssize_t got = pread(memory, bytes, n, (off_t)address);
    close(memory);
    for (ssize_t i = 0; i < got; i++) {
        if (bytes[i])
            return false;
    }
    return true;
}

/* May this process read (write) the byte there? Asks the kernel; nothing traps. */
static bool readable(const void *p)
{
    int ends[2];
    need(pipe(ends) == 0);
    bool ok = write(ends[1], p, 1) == 1;
    close(ends[0]);
    close(ends[1]);
    return ok;
}

static bool writable(void *p)
{
    int ends[2];
    need(readable(p) && pipe(ends) == 0 && write(ends[1], p, 1) == 1);
    bool ok = read(ends[0], p, 1) == 1;
    close(ends[0]);
    close(ends[1]);
    return ok;
}

/* The VmFlags of the mapping that holds p, "" if none. */
static const char *flags_of(const void *p)
{
    static char flags[256];
    char line[512];
    unsigned long from, to;
    bool here = false;
    flags[0] = 0;
    FILE *maps = fopen("/proc/self/smaps", "r");
    need(maps != NULL);
    while (fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            here = (uintptr_t)p >= from && (uintptr_t)p < to;
        else if (here && strncmp(line, "VmFlags:", 8) == 0)
            snprintf(flags, sizeof flags, "%.200s", line + 8);
    }
    fclose(maps);
    return flags;
}

static bool every_page_has(void *p, size_t n, const char *flag)
{
    uintptr_t first = (uintptr_t)p & ~(page - 1);
    for (uintptr_t at = first; at < (uintptr_t)p + n; at += page) {
        if (!strstr(flags_of((unsigned char *)p + (at - (uintptr_t)p)), flag))
            return false;
    }
    return true;
}

static size_t vmlck(void)
{
    char line[256];
    size_t kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    need(status != NULL);
    while (fgets(line, sizeof line, status))
        sscanf(line, "VmLck: %zu", &kib);
    fclose(status);
    return kib * 1024;
}

static void set_limit(size_t bytes)
{
    struct rlimit limit;
    need(getrlimit(RLIMIT_MEMLOCK, &limit) == 0);
    limit.rlim_cur = bytes;
    need(setrlimit(RLIMIT_MEMLOCK, &limit) == 0);
}

static const size_t sizes[] = {1, 15, 16, 17, 32, 100, 4095, 4096, 4097, 12288, 20000};
#define EACH_SIZE(n) \
    for (size_t i_ = 0, n; i_ < sizeof sizes / sizeof *sizes && (n = sizes[i_], 1); i_++)

/* ----------------------------------------------------------- one check per promise: holds? */

static bool locked(void)
{
    bool holds = true;
    EACH_SIZE(n)
    {
        unsigned char *p = filled_alloc(n);
        uintptr_t first = (uintptr_t)p & ~(page - 1);
        holds = holds && every_page_has(p, n, " lo") &&
                madvise(p - ((uintptr_t)p - first), page, MADV_PAGEOUT) == -1 && errno == EINVAL;
    }
    return holds;
}

static bool honest_lock(void)
{
    void *before = filled_alloc(64);
    set_limit(0);
    errno = 0;
    return a->alloc(context, 64) == NULL && errno != 0 && filled(before, 64);
}

/* Allocates pages until alloc says no; how many that were. */
static size_t fill_up(void **last)
{
    size_t count = 0;
    void *p;
    while (count < 64 && (p = a->alloc(context, 64)) != NULL) {
        *last = p;
        count++;
    }
    return count;
}

static bool accounting(void)
{
    void *last = NULL;
    set_limit(16 * page);
    size_t count = fill_up(&last);
    if (count != 16 || vmlck() != a->locked_bytes(context) || vmlck() != 16 * page)
        return false;
    a->free(context, last, 64);
    for (int i = 0; i < 1000; i++) {
        last = a->alloc(context, 64);
        if (!last || a->alloc(context, 64))
            return false;
        a->free(context, last, 64);
    }
    size_t left = vmlck();
    return a->close(context) == 0 && vmlck() == 0 && left == 15 * page;
}

/* Runs with whatever capabilities the test has: with CAP_IPC_LOCK the kernel allows everything. */
static bool own_limit(void)
{
    void *last = NULL;
    set_limit(16 * page);
    return fill_up(&last) == 16;
}

static bool own_budget(void)
{
    void *last = NULL;
    open_again(8 * page);
    return fill_up(&last) == 8;
}

static bool neighbour(void)
{
    unsigned char *p[3];
    EACH_SIZE(n)
    {
        for (int i = 0; i < 3; i++)
            p[i] = filled_alloc(n);
        a->free(context, p[1], n);
        if (!filled(p[0], n) || !filled(p[2], n) || !every_page_has(p[0], n, " lo") ||
            !every_page_has(p[2], n, " lo") || !writable(p[0]) || !writable(p[2]))
            return false;
    }
    return true;
}

static bool all_zero(void)
{
    EACH_SIZE(n)
    {
        uintptr_t p = (uintptr_t)filled_alloc(n);
        a->free(context, (void *)p, n);
        if (!gone(p, n))
            return false;
    }
    return true;
}

static bool zero_on_resize(void)
{
    EACH_SIZE(n)
    {
        uintptr_t old = (uintptr_t)filled_alloc(n);
        unsigned char *p = a->resize(context, (void *)old, n, 2 * n);
        need(p != NULL);
        if (!filled(p, n) || ((uintptr_t)p != old && !gone(old, n)))
            return false;
        fill(p, 2 * n);
        old = (uintptr_t)p;
        p = a->resize(context, p, 2 * n, n);
        need(p != NULL);
        if (!filled(p, n) || !gone((uintptr_t)p == old ? old + n : old, n))
            return false;
    }
    return true;
}

static bool fresh(void)
{
    EACH_SIZE(n)
    {
        unsigned char *old = filled_alloc(n);
        a->free(context, old, n);
        unsigned char *p = a->alloc(context, n);
        need(p != NULL);
        if (filled(p, n))
            return false;
    }
    return true;
}

static bool sizes_at_the_end(void)
{
    void *zero = a->alloc(context, 0);
    void *other = a->alloc(context, 0);
    if (zero && zero == other)
        return false;
    for (size_t less = 0; less <= 2 * page; less++) {
        errno = 0;
        if (a->alloc(context, SIZE_MAX - less) || errno != ENOMEM)
            return false;
        errno = 0;
        if (a->alloc(context, SIZE_MAX / 2 - less) || errno != ENOMEM)
            return false;
    }
    void *p = filled_alloc(100);
    return a->resize(context, p, 100, SIZE_MAX) == NULL && filled(p, 100);
}

static bool alignment(void)
{
    EACH_SIZE(n)
    {
        if ((uintptr_t)a->alloc(context, n) % a->min_align)
            return false;
    }
    for (size_t align = 1; align <= page; align *= 2) {
        unsigned char *p = a->alloc_aligned(context, align, 100);
        if (!p || (uintptr_t)p % align)
            return false;
        a->free(context, p, 100);
    }
    return a->alloc_aligned(context, 3, 100) == NULL && errno == EINVAL;
}

static bool guard_after(void)
{
    EACH_SIZE(n)
    {
        unsigned char *p = filled_alloc(n);
        size_t rounded = (n + a->min_align - 1) & ~(a->min_align - 1);
        if (!readable(p) || !readable(p + n - 1) || readable(p + rounded) ||
            !*flags_of(p + rounded))
            return false;
    }
    return true;
}

static bool guard_before(void)
{
    EACH_SIZE(n)
    {
        unsigned char *p = filled_alloc(n);
        unsigned char *before = p - ((uintptr_t)p & (page - 1)) - 1;
        if (readable(before) || !*flags_of(before))
            return false;
    }
    return true;
}

static bool free_is_caught(void *p, size_t n)
{
    if (setjmp(caught) == 0) {
        a->free(context, p, n);
        return false;
    }
    return true;
}

static bool overrun_caught(void)
{
    unsigned char *p = filled_alloc(100);
    p[100]++;
    return free_is_caught(p, 100) && gone((uintptr_t)p, 100);
}

static bool underrun_caught(void)
{
    unsigned char *p = filled_alloc(100);
    p[-1]++;
    return free_is_caught(p, 100);
}

static bool use_after_free(void)
{
    unsigned char *p = filled_alloc(100);
    a->free(context, p, 100);
    if (readable(p))
        return false;
    for (int i = 0; i < 200; i++) {
        unsigned char *other = filled_alloc(100);
        if (other == p)
            return false;
        a->free(context, other, 100);
    }
    return !readable(p);
}

static bool double_free(void)
{
    unsigned char *p = filled_alloc(100), *between = filled_alloc(100);
    a->free(context, p, 100);
    a->free(context, between, 100);
    return free_is_caught(p, 100);
}

static bool interior_free(void)
{
    unsigned char *p = filled_alloc(100);
    return free_is_caught(p + 16, 84) && filled(p, 100);
}

static bool foreign_free(void)
{
    unsigned char *mine = malloc(100);
    need(mine != NULL);
    fill(mine, 100);
    return free_is_caught(mine, 100) && filled(mine, 100);
}

static bool wrong_size_free(void)
{
    unsigned char *p = filled_alloc(100);
    return free_is_caught(p, 99) && filled(p, 100);
}

static bool zero_on_close(void)
{
    need(*(unsigned char *)filled_alloc(100) != 0);
    void *p = filled_alloc(100);
    a->protect(context, p, SECRET_ACCESS_NONE);
    size_t before = vmlck();
    return a->close(context) == 0 && gone((uintptr_t)p, 100) && vmlck() == 0 && before == 2 * page;
}

static bool no_dump(void)
{
    EACH_SIZE(n)
    {
        if (!every_page_has(filled_alloc(n), n, " dd"))
            return false;
    }
    return true;
}

static bool fork_keeps_it(void)
{
    unsigned char *p = filled_alloc(100);
    pid_t child = fork();
    need(child >= 0);
    if (child == 0) {
        bool inert = a->alloc(context, 100) == NULL && errno == EPERM;
        a->free(context, p, 100);
        _exit(inert && gone((uintptr_t)p, 100) && a->close(context) == 0 ? HOLDS : BROKEN);
    }
    int status;
    need(waitpid(child, &status, 0) == child && WIFEXITED(status));
    return WEXITSTATUS(status) == HOLDS && filled(p, 100);
}

static bool states(void)
{
    EACH_SIZE(n)
    {
        unsigned char *p = filled_alloc(n);
        if (a->protect(context, p, SECRET_ACCESS_READ) != 0 || writable(p + n - 1) ||
            !filled(p, n) || a->protect(context, p, SECRET_ACCESS_NONE) != 0 || readable(p) ||
            readable(p + n - 1))
            return false;
        if (i_ % 2 && (a->protect(context, p, SECRET_ACCESS_READ_WRITE) != 0 || !writable(p)))
            return false;
        a->free(context, p, n); /* half of them while there is no access */
        if (!gone((uintptr_t)p, n))
            return false;
    }
    return a->protect(context, filled_alloc(1), 3) == EINVAL;
}

static void *use_much(void *bad)
{
    for (unsigned i = 0; i < 500; i++) {
        size_t n = 1 + i * 13 % 5000;
        unsigned char *p = a->alloc(context, n);
        if (!p)
            return bad;
        fill(p, n);
        if (!filled(p, n))
            return bad;
        a->free(context, p, n);
        if (readable(p))
            return bad;
    }
    return NULL;
}

static bool threads(void)
{
    pthread_t thread[3];
    void *bad[3];
    for (unsigned i = 0; i < 3; i++)
        need(pthread_create(&thread[i], NULL, use_much, &page) == 0);
    for (unsigned i = 0; i < 3; i++)
        need(pthread_join(thread[i], &bad[i]) == 0);
    return !bad[0] && !bad[1] && !bad[2];
}

static bool reopen(void)
{
    filled_alloc(100);
    if (a->close(context) != 0)
        return false;
    open_again(0);
    return locked() && guard_after() && all_zero();
}

static bool scale(void)
{
    static unsigned char *p[20000];
    size_t count = 0, good = 0;
    set_limit(1000 * page);
    while (count < 20000 && (p[count] = a->alloc(context, 32)) != NULL)
        fill(p[count++], 32);
    for (size_t i = 0; i < count; i++) {
        good += filled(p[i], 32);
        a->free(context, p[i], 32);
    }
    return count == 1000 && good == count && vmlck() == 0;
}

/* ------------------------------------------------------------------------------------ */

static const char *control_path(const char *name)
{
    static char path[4096];
    const char *build = getenv("STRONGROOM_BUILD");
    assert_non_null(build);
    snprintf(path, sizeof path, "%s/suite/controls/%s.so", build, name);
    return path;
}

static void drop_capabilities(void)
{
    capng_clear(CAPNG_SELECT_CAPS);
    need(capng_apply(CAPNG_SELECT_CAPS) == 0);
}

static int run(const char *control, bool (*check)(void), bool keep_capabilities)
{
    const char *path = control_path(control);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(60);
        /* cmocka's own would go on with the next test, in this child */
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        signal(SIGABRT, SIG_DFL);
        if (!keep_capabilities)
            drop_capabilities();
        page = (size_t)sysconf(_SC_PAGESIZE);
        void *handle = dlopen(path, RTLD_NOW);
        need(handle != NULL);
        const struct secret_alloc *const *(*subjects)(uint32_t);
        *(void **)&subjects = dlsym(handle, "strongroom_subjects");
        need(subjects && subjects(STRONGROOM_ABI_MAJOR + 1) == NULL);
        a = subjects(STRONGROOM_ABI_MAJOR)[0];
        open_again(0);
        _exit(check() ? HOLDS : BROKEN);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

struct check {
    bool (*holds)(void);
    bool keep_capabilities;
};

static void both(void **state)
{
    const struct check *check = *state;
    assert_int_equal(run("correct", check->holds, check->keep_capabilities), HOLDS);
    assert_int_equal(run("leaking", check->holds, check->keep_capabilities), BROKEN);
}

#define CHECK(name)                              \
    {                                            \
#name, both, NULL, NULL, &(struct check) \
        {                                        \
            name, false                          \
        }                                        \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        CHECK(locked),
        CHECK(honest_lock),
        CHECK(accounting),
        CHECK(own_budget),
        CHECK(neighbour),
        CHECK(all_zero),
        CHECK(zero_on_resize),
        CHECK(fresh),
        CHECK(sizes_at_the_end),
        CHECK(alignment),
        CHECK(guard_after),
        CHECK(guard_before),
        CHECK(overrun_caught),
        CHECK(underrun_caught),
        CHECK(use_after_free),
        CHECK(double_free),
        CHECK(interior_free),
        CHECK(foreign_free),
        CHECK(wrong_size_free),
        CHECK(zero_on_close),
        CHECK(no_dump),
        CHECK(fork_keeps_it),
        CHECK(states),
        CHECK(threads),
        CHECK(reopen),
        CHECK(scale),
        {"own_limit", both, NULL, NULL, &(struct check){own_limit, true}},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
