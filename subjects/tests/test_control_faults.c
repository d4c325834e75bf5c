/* SPDX-License-Identifier: MIT */
/*
 * test_control_faults.c: lets each memory call of the correct control fail: the nth, once and from
 * then on, without and after taking effect. It must never crash or hand out weaker memory, and when
 * the faults cease it must owe nothing: no quota, no lock, no secret.
 *
 * The calls are interposed here, by name, for the control that is loaded. The leaking control takes
 * the same path, and must be seen doing wrong in it.
 */
#include <cap-ng.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "contract/strongroom.h"

enum { HOLDS = 40, BROKEN = 41, SETUP_FAILED = 42 };

/* ----------------------------------------------------------------------------- the faults */

static struct {
    long call; /* 0: none */
    unsigned nth;
    int error;
    bool after, on, fired;
} fault;

static long issue(long call, long a, long b, long c, long d, long e, long f)
{
    bool fail = fault.call == call && fault.nth == 1;
    if (fault.call == call && fault.nth > 1)
        fault.nth--;
    if (fail && !fault.on)
        fault.nth = 0;
    fault.fired |= fail;
    if (fail && !fault.after) {
        errno = fault.error;
        return -1;
    }
    long result = syscall(call, a, b, c, d, e, f);
    if (fail) {
        errno = fault.error;
        return -1;
    }
    return result;
}

#define EXPORT __attribute__((visibility("default")))

/* A caller whose off_t is 64 bits wide by request calls mmap64; which one that is differs by build. */
EXPORT void *any_mmap(void *p, size_t n, int access, int flags, int file, long at) __asm__("mmap");
EXPORT void *any_mmap64(void *p, size_t n, int access, int flags, int file,
                        long at) __asm__("mmap64");

void *any_mmap(void *p, size_t n, int access, int flags, int file, long at)
{
    return (void *)issue(SYS_mmap, (long)p, (long)n, access, flags, file, at);
}

void *any_mmap64(void *p, size_t n, int access, int flags, int file, long at)
{
    return any_mmap(p, n, access, flags, file, at);
}

EXPORT int munmap(void *p, size_t n)
{
    return (int)issue(SYS_munmap, (long)p, (long)n, 0, 0, 0, 0);
}

EXPORT int mprotect(void *p, size_t n, int access)
{
    return (int)issue(SYS_mprotect, (long)p, (long)n, access, 0, 0, 0);
}

EXPORT int madvise(void *p, size_t n, int advice)
{
    return (int)issue(SYS_madvise, (long)p, (long)n, advice, 0, 0, 0);
}

EXPORT int mlock(const void *p, size_t n)
{
    return (int)issue(SYS_mlock, (long)p, (long)n, 0, 0, 0, 0);
}

EXPORT int munlock(const void *p, size_t n)
{
    return (int)issue(SYS_munlock, (long)p, (long)n, 0, 0, 0, 0);
}

EXPORT ssize_t getrandom(void *p, size_t n, unsigned flags)
{
    return issue(SYS_getrandom, (long)p, (long)n, flags, 0, 0, 0);
}

/* --------------------------------------------------------------------------- what is seen */

static void need(bool condition)
{
    if (!condition)
        _exit(SETUP_FAILED);
}

static bool wrong(const char *what)
{
    dprintf(STDERR_FILENO, "# call %ld, fails %s, %s: %s\n", fault.call, fault.on ? "on" : "once",
            fault.after ? "after" : "before", what);
    return false;
}

static size_t vmlck(void)
{
    char text[4096], *at;
    int status = open("/proc/self/status", O_RDONLY);
    ssize_t n = read(status, text, sizeof text - 1);
    need(n > 0);
    close(status);
    text[n] = 0;
    at = strstr(text, "VmLck:");
    need(at != NULL);
    return strtoul(at + 6, NULL, 10) * 1024;
}

/* Are all pages of the secret locked, left out of dumps, and wiped in a child? */
static bool strong(const unsigned char *p, size_t n)
{
    static char text[1 << 17];
    size_t length = 0;
    ssize_t got;
    int maps = open("/proc/self/smaps", O_RDONLY);
    while ((got = read(maps, text + length, sizeof text - 1 - length)) > 0)
        length += (size_t)got;
    close(maps);
    text[length] = 0;
    unsigned long from, to;
    for (char *line = text; line && *line; line = strchr(line, '\n'), line += line != NULL) {
        if (sscanf(line, "%lx-%lx ", &from, &to) != 2 || (uintptr_t)p < from || (uintptr_t)p >= to)
            continue;
        char *flags = strstr(line, "VmFlags:"), *end = flags ? strchr(flags, '\n') : NULL;
        need(end != NULL);
        *end = 0;
        return (uintptr_t)p + n <= to && strstr(flags, " lo") && strstr(flags, " dd") &&
               strstr(flags, " wf");
    }
    return false;
}

static bool gone(uintptr_t address, size_t n)
{
    unsigned char bytes[20000];
    int memory = open("/proc/self/mem", O_RDONLY);
    ssize_t got = pread(memory, bytes, n, (off_t)address);
    close(memory);
    for (ssize_t i = 0; i < got; i++) {
        if (bytes[i])
            return false;
    }
    return true;
}

static bool filled(const unsigned char *p, size_t n, unsigned char with)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] != with)
            return false;
    }
    return true;
}

/* ------------------------------------------------------------------------------ the story */

static const struct secret_alloc *a;
static void *context;

static void on_fatal(void *arg, const char *message)
{
    (void)arg;
    dprintf(STDERR_FILENO, "# fatal: %s\n", message);
    _exit(BROKEN);
}

enum { SECRETS = 6 };
static const size_t sizes[SECRETS] = {1, 100, 4096, 5000, 12288, 20000};
static unsigned char *secret[SECRETS];
static uintptr_t was_at[SECRETS];

static bool take(unsigned i)
{
    errno = 0;
    secret[i] = a->alloc(context, sizes[i]);
    if (!secret[i])
        return errno != 0 || wrong("a refusal without errno");
    was_at[i] = (uintptr_t)secret[i];
    memset(secret[i], 0x90 + (int)i, sizes[i]);
    return strong(secret[i], sizes[i]) || wrong("weaker memory was handed out");
}

static bool survive(void)
{
    for (unsigned i = 0; i < SECRETS; i++) {
        if (secret[i] && (!filled(secret[i], sizes[i], (unsigned char)(0x90 + i)) ||
                          !strong(secret[i], sizes[i])))
            return wrong("a secret that was alive did not survive");
    }
    return true;
}

/* Under fault: takes, protects, resizes, frees. */
static bool live(void)
{
    for (unsigned i = 3; i < SECRETS; i++) {
        if (!take(i))
            return false;
    }
    if (!survive())
        return false;
    a->protect(context, secret[0], SECRET_ACCESS_NONE);
    a->protect(context, secret[0], SECRET_ACCESS_READ_WRITE);
    unsigned char *moved = a->resize(context, secret[1], sizes[1], 9000);
    if (moved) {
        if (!filled(moved, sizes[1], 0x91) || !strong(moved, 9000))
            return wrong("a resized secret is not what it was");
        a->free(context, moved, 9000);
        secret[1] = NULL;
    }
    a->free(context, secret[2], sizes[2]);
    secret[2] = NULL;
    return true;
}

static bool end(void)
{
    if (a->protect(context, secret[0], SECRET_ACCESS_READ_WRITE) != 0 || !survive())
        return wrong("not usable when the faults had ceased");
    for (unsigned i = 0; i < SECRETS; i++) {
        if (secret[i])
            a->free(context, secret[i], sizes[i]);
    }
    void *last = a->alloc(context, 32);
    if (!last || vmlck() != a->locked_bytes(context) || vmlck() > 4096)
        return wrong("quota was lost");
    for (unsigned i = 0; i < SECRETS; i++) {
        if (was_at[i] && was_at[i] != (uintptr_t)last && !gone(was_at[i], sizes[i]))
            return wrong("a secret is left where it was");
    }
    return (a->close(context) == 0 && vmlck() == 0) || wrong("close left something locked");
}

static bool story(void)
{
    const struct secret_config config = {.size = sizeof config, .fatal = on_fatal};
    long call = fault.call;
    fault.call = call == SYS_getrandom ? call : 0;
    int error = a->open(&config, &context);
    if (call == SYS_getrandom)
        return fault.fired ? error == fault.error : error == 0;
    need(error == 0 && take(0) && take(1) && take(2));
    fault.call = call;
    bool holds = live();
    fault.call = 0;
    return holds && end();
}

/* HOLDS or BROKEN, and whether the fault was ever reached. */
static int run(const char *control, long call, bool *fired)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/suite/controls/%s.so", getenv("STRONGROOM_BUILD"), control);
    bool *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(shared, MAP_FAILED);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        alarm(60);
        /* cmocka's own would go on with the next test, in this child */
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        signal(SIGABRT, SIG_DFL);
        capng_clear(CAPNG_SELECT_CAPS);
        capng_apply(CAPNG_SELECT_CAPS);
        void *handle = dlopen(path, RTLD_NOW);
        need(handle != NULL);
        const struct secret_alloc *const *(*subjects)(uint32_t);
        *(void **)&subjects = dlsym(handle, "strongroom_subjects");
        need(subjects != NULL);
        a = subjects(STRONGROOM_ABI_MAJOR)[0];
        fault.call = call;
        bool holds = story();
        *shared = fault.fired;
        _exit(holds ? HOLDS : BROKEN);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    *fired = *shared;
    munmap(shared, 4096);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* The nth call, n + 1, ... until the fault is no longer reached. */
static void each_call(long call, int error)
{
    for (unsigned how = 0; how < 4; how++) {
        unsigned nth = 0;
        for (bool fired = true; fired; assert_in_range(nth, 1, 200)) {
            memset(&fault, 0, sizeof fault);
            fault.nth = ++nth;
            fault.error = error;
            fault.after = how & 1;
            fault.on = how & 2;
            int status = run("correct", call, &fired);
            if (status != HOLDS)
                print_error("# call %ld number %u, way %u: %d\n", call, nth, how, status);
            assert_int_equal(status, HOLDS);
        }
        assert_true(nth > 1); /* it was reached at all */
    }
}

static void mmap_fails(void **state)
{
    (void)state;
    each_call(SYS_mmap, ENOMEM);
}

static void munmap_fails(void **state)
{
    (void)state;
    bool fired;
    memset(&fault, 0, sizeof fault); /* of addresses only, and but once here: see the quarantine */
    fault.nth = 1;
    fault.on = true;
    fault.error = ENOMEM;
    assert_int_equal(run("correct", SYS_munmap, &fired), HOLDS);
}

static void mprotect_fails(void **state)
{
    (void)state;
    each_call(SYS_mprotect, ENOMEM);
    each_call(SYS_mprotect, EACCES);
}

static void madvise_fails(void **state)
{
    (void)state;
    each_call(SYS_madvise, EINVAL);
    each_call(SYS_madvise, EAGAIN);
}

static void mlock_fails(void **state)
{
    (void)state;
    each_call(SYS_mlock, ENOMEM);
    each_call(SYS_mlock, EAGAIN);
    each_call(SYS_mlock, EPERM);
}

static void munlock_fails(void **state)
{
    (void)state;
    each_call(SYS_munlock, ENOMEM);
}

static void getrandom_fails(void **state)
{
    (void)state;
    each_call(SYS_getrandom, EAGAIN);
}

static void leaking_is_seen(void **state)
{
    (void)state;
    bool fired;
    memset(&fault, 0, sizeof fault);
    fault.nth = 1;
    fault.on = true;
    fault.error = ENOMEM;
    /* its first secret is weaker already */
    assert_int_equal(run("leaking", SYS_mlock, &fired), SETUP_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mmap_fails),      cmocka_unit_test(munmap_fails),
        cmocka_unit_test(mprotect_fails),  cmocka_unit_test(madvise_fails),
        cmocka_unit_test(mlock_fails),     cmocka_unit_test(munlock_fails),
        cmocka_unit_test(getrandom_fails), cmocka_unit_test(leaking_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
