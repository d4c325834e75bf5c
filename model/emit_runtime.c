/* SPDX-License-Identifier: MIT */
/*
 * emit_runtime.c: the part of every emitted program that does not depend on the program; see emit.h.
 *
 * It is text, not a unit of this library: emit.c prints what stands below the first mark, up to the
 * next one always and then each stretch whose mark names an operation that the program has.
 */
/*@*/
#define _GNU_SOURCE
#undef _FILE_OFFSET_BITS
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAYBE __attribute__((unused))

/* ---- the contract between a subject and the programs that use it ---- */

struct secret_config {
    uint32_t size, flags;
    size_t lock_budget_bytes;
    void (*fatal)(void *arg, const char *message);
    void *fatal_arg;
};

struct secret_alloc {
    uint32_t size, flags;
    const char *name, *version, *library;
    const char *const *claims;
    size_t min_align;
    int (*open)(const struct secret_config *config, void **context);
    void *(*alloc)(void *context, size_t size_bytes);
    void (*free)(void *context, void *secret, size_t size_bytes);
    int (*close)(void *context);
    void *(*resize)(void *context, void *secret, size_t old_size_bytes, size_t new_size_bytes);
    void *(*alloc_aligned)(void *context, size_t align_bytes, size_t size_bytes);
    size_t (*usable)(void *context, const void *secret);
    int (*protect)(void *context, void *secret, int access);
    size_t (*locked_bytes)(void *context);
};

/* ---- state ---- */

struct secret {
    unsigned char *p;
    size_t n, usable, known; /* known: so many bytes are those of fill */
    unsigned fill;
    int access;
};

static struct secret_alloc subject;
static void *context MAYBE;
static int is_open MAYBE, wrong, memory_file = -1, in_child;
static size_t page;
static unsigned step_number;
static unsigned fills MAYBE;
static struct secret slots[32];
static struct secret freed[32] MAYBE;
static size_t crowd_count MAYBE;

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
    char line[256];
    va_list list;
    va_start(list, format);
    int length = vsnprintf(line, sizeof line, format, list);
    va_end(list);
    if (length > 0 &&
        write(1, line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1) < 0)
        wrong = 1;
}

/* Something that a correct allocator does not do. */
#define BAD(...) (wrong = 1, say("      BAD: " __VA_ARGS__))

MAYBE static void step(const char *text)
{
    say("%3u  %s\n", step_number++, text);
}

MAYBE static int skip_unless(int possible)
{
    if (!possible)
        say("      skipped\n");
    return !possible;
}

/* ---- system calls without libc, because libc's are replaced below ---- */

static long raw(long number, long a, long b, long c, long d, long e, long f)
{
#if defined(__x86_64__)
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory", "cc");
    return x0;
#else
#error "written for x86-64 and aarch64"
#endif
}

/* ---- secrets: any byte of any fill can be told again ---- */

static unsigned char secret_byte(unsigned fill, size_t i)
{
    uint64_t x = ((uint64_t)fill << 32 | (i / 8)) + 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return (unsigned char)((x ^ x >> 31) >> (8 * (i % 8)));
}

/* How many of the bytes [from, to) of a secret are in their place, and in a row; also where the memory
 * has no access or is gone. */
static size_t same_bytes(const struct secret *s, size_t from, size_t to, size_t *in_a_row)
{
    unsigned char bytes[256];
    size_t same = 0, row = 0;
    *in_a_row = 0;
    while (from < to && from < s->known) {
        size_t want = to - from < sizeof bytes ? to - from : sizeof bytes;
        long got =
            raw(SYS_pread64, memory_file, (long)bytes, (long)want, (long)(s->p + from), 0, 0);
        if (got <= 0)
            break;
        for (long i = 0; i < got && from < s->known; i++, from++) {
            row = bytes[i] == secret_byte(s->fill, from) ? row + 1 : 0;
            same += row > 0;
            *in_a_row = row > *in_a_row ? row : *in_a_row;
        }
    }
    return same;
}

/* How many are left of a secret that should be gone: some bytes are the same by chance. */
static size_t left_of(const struct secret *s, size_t from, size_t to)
{
    size_t row, same = same_bytes(s, from, to, &row);
    return s->fill != 0 && (row >= 4 || same > (to - from) / 8 + 1) ? same : 0;
}

/* ---- libc's memory calls: to see what is given back unwiped, and to make them fail ---- */

enum call { LOCK, MMAP, MPROTECT, MADVISE, MUNMAP, MUNLOCK, MEMFD_SECRET, GETRANDOM, CALLS };
static struct {
    unsigned nth;
    int error, after, on;
} faults[CALLS];

static enum call kind_of(long number)
{
    return number == SYS_mlock || number == SYS_mlock2 || number == SYS_mlockall ? LOCK
           : number == SYS_mmap                                                  ? MMAP
           : number == SYS_mprotect                                              ? MPROTECT
           : number == SYS_madvise                                               ? MADVISE
           : number == SYS_munmap                                                ? MUNMAP
           : number == SYS_munlock || number == SYS_munlockall                   ? MUNLOCK
           : number == 447 /* memfd_secret */                                    ? MEMFD_SECRET
           : number == SYS_getrandom                                             ? GETRANDOM
                                                                                 : CALLS;
}

static void give_back(const char *how, uintptr_t at, size_t bytes)
{
    for (int i = 0; i < 32 && !in_child; i++) {
        uintptr_t p = (uintptr_t)slots[i].p, end = p + slots[i].known;
        uintptr_t from = p > at ? p : at, to = end < at + bytes ? end : at + bytes;
        if (slots[i].p == NULL || from >= to)
            continue;
        size_t same = left_of(&slots[i], from - p, to - p);
        if (same > 0)
            BAD("%s with %zu of %zu bytes of s%d still there\n", how, same, (size_t)(to - from), i);
    }
}

static int is_discard(long advice)
{
    return advice == MADV_DONTNEED || advice == MADV_FREE || advice == MADV_REMOVE ||
           advice == 24 /* MADV_DONTNEED_LOCKED */;
}

static long enter(long number, long a, long b, long c, long d, long e, long f)
{
    enum call kind = kind_of(number);
    int error = 0;
    if (kind != CALLS && faults[kind].nth > 0 &&
        (faults[kind].nth == 1 || --faults[kind].nth == 0)) {
        error = faults[kind].error;
        faults[kind].nth = (unsigned)faults[kind].on;
    }
    if (error != 0)
        say("      (system call %ld made to fail with errno %d)\n", number, error);
    if (error == 0 || faults[kind].after) {
        if (kind == MUNMAP || number == SYS_munlock)
            give_back(kind == MUNMAP ? "munmap" : "munlock", (uintptr_t)a, (size_t)b);
        if (kind == MADVISE && is_discard(c))
            give_back("madvise", (uintptr_t)a, (size_t)b);
        if (kind == MMAP && (d & MAP_FIXED))
            give_back("mmap", (uintptr_t)a, (size_t)b);
        long result = raw(number, a, b, c, d, e, f);
        if (error == 0)
            error = (unsigned long)result > -4096UL ? (int)-result : 0;
        if (error == 0)
            return result;
    }
    errno = error;
    return -1;
}

#undef mmap64 /* in musl it may be a macro, and off64_t another or nothing */
void *mmap64(void *p, size_t n, int access, int flags, int file, int64_t offset)
{
    return (void *)enter(SYS_mmap, (long)p, (long)n, access, flags, file, (long)offset);
}
void *mmap(void *p, size_t n, int access, int flags, int file, off_t offset)
{
    return mmap64(p, n, access, flags, file, offset);
}
int munmap(void *p, size_t n)
{
    return (int)enter(SYS_munmap, (long)p, (long)n, 0, 0, 0, 0);
}
int mprotect(void *p, size_t n, int access)
{
    return (int)enter(SYS_mprotect, (long)p, (long)n, access, 0, 0, 0);
}
int madvise(void *p, size_t n, int advice)
{
    return (int)enter(SYS_madvise, (long)p, (long)n, advice, 0, 0, 0);
}
int mlock(const void *p, size_t n)
{
    return (int)enter(SYS_mlock, (long)p, (long)n, 0, 0, 0, 0);
}
int mlock2(const void *p, size_t n, unsigned flags)
{
    return (int)enter(SYS_mlock2, (long)p, (long)n, (long)flags, 0, 0, 0);
}
int munlock(const void *p, size_t n)
{
    return (int)enter(SYS_munlock, (long)p, (long)n, 0, 0, 0, 0);
}
int mlockall(int flags)
{
    return (int)enter(SYS_mlockall, flags, 0, 0, 0, 0, 0);
}
int munlockall(void)
{
    return (int)enter(SYS_munlockall, 0, 0, 0, 0, 0, 0);
}
ssize_t getrandom(void *p, size_t n, unsigned flags)
{
    return (ssize_t)enter(SYS_getrandom, (long)p, (long)n, (long)flags, 0, 0, 0);
}
long syscall(long number, ...)
{
    long a[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(list, long);
    va_end(list);
    return enter(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* ---- crashes ---- */

static _Thread_local sigjmp_buf landing;
static _Thread_local volatile sig_atomic_t probing;
static _Thread_local volatile int trap_code;

static void on_signal(int number, siginfo_t *info, void *unused)
{
    (void)unused;
    trap_code = info->si_code;
    if (probing)
        siglongjmp(landing, 1);
    signal(number, SIG_DFL);
    say("      died of signal %d (%s), si_addr %p\n", number, strsignal(number), info->si_addr);
    raise(number);
}

static void catch_signals(void)
{
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE, SIGTRAP};
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_NODEFER};
    action.sa_sigaction = on_signal;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        sigaction(numbers[i], &action, NULL);
}

/* ---- loading ---- */

/* Root may lock as much as it likes, which proves nothing. As the kernel has it: musl finds no header of Linux's. */
MAYBE static void drop_ipc_lock(void)
{
    struct {
        uint32_t version;
        int pid;
    } header = {0x20080522 /* the third */, 0};
    struct {
        uint32_t effective, permitted, inheritable;
    } sets[2];
    const uint32_t lock = 1u << 14; /* CAP_IPC_LOCK */
    memset(sets, 0, sizeof sets);
    raw(SYS_capget, (long)&header, (long)sets, 0, 0, 0, 0);
    sets[0].effective &= ~lock;
    sets[0].permitted &= ~lock;
    sets[0].inheritable &= ~lock;
    raw(SYS_capset, (long)&header, (long)sets, 0, 0, 0, 0);
}

static void load(const char *path, const char *variant)
{
    const struct secret_alloc *const *(*subjects)(uint32_t) = NULL;
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    void *symbol = handle == NULL ? NULL : dlsym(handle, "strongroom_subjects");
    if (symbol == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        exit(2);
    }
    memcpy(&subjects, &symbol, sizeof subjects);
    const struct secret_alloc *const *table = subjects(1);
    while (table != NULL && *table != NULL && variant[0] != '\0' &&
           strcmp((*table)->name, variant) != 0)
        table++;
    if (table == NULL || *table == NULL) {
        fprintf(stderr, "%s has no variant '%s'\n", path, variant);
        exit(2);
    }
    memcpy(&subject, *table, (*table)->size < sizeof subject ? (*table)->size : sizeof subject);
    page = (size_t)sysconf(_SC_PAGESIZE);
    memory_file = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    catch_signals();
}

/*@ limit */
static void do_limit(size_t bytes)
{
    struct rlimit limit;
    getrlimit(RLIMIT_MEMLOCK, &limit);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0)
        say("      refused: errno %d\n", errno);
    say("      RLIMIT_MEMLOCK is %llu\n", (unsigned long long)limit.rlim_cur);
}

/*@ open */
static void fatal(void *arg, const char *message)
{
    (void)arg;
    say("      the subject ends the program: %s\n", message == NULL ? "" : message);
    _exit(3);
}

static void do_open(size_t budget)
{
    struct secret_config config = {sizeof config, 0, budget, fatal, NULL};
    if (skip_unless(!is_open))
        return;
    int error = subject.open(&config, &context);
    is_open = error == 0;
    if (error != 0)
        say("      refused: errno %d\n", error);
}

/*@ close */
static void do_close(void)
{
    if (skip_unless(is_open && subject.close != NULL))
        return;
    int error = subject.close(context);
    is_open = 0;
    crowd_count = 0;
    if (error != 0)
        say("      refused: errno %d\n", error);
    for (int i = 0; i < 32; i++)
        if (slots[i].p != NULL) {
            size_t same = left_of(&slots[i], 0, slots[i].known);
            if (same > 0)
                BAD("after close, %zu of %zu bytes of s%d are still there\n", same, slots[i].known,
                    i);
            freed[i] = slots[i];
            memset(&slots[i], 0, sizeof slots[i]);
        }
}

/*@ heal */
static void do_heal(void)
{
    memset(faults, 0, sizeof faults);
}

/*@ fail */
static void do_fail(enum call call, unsigned nth, int error, int after, int on)
{
    faults[call].error = error;
    faults[call].after = after;
    faults[call].on = on;
    faults[call].nth = nth;
}

/*@ alloc alloc-aligned resize crowd */
static size_t locked_before;

static size_t locked_now(void)
{
    return is_open && subject.locked_bytes != NULL ? subject.locked_bytes(context) : 0;
}

static void refused(void)
{
    int error = errno;
    size_t now = locked_now();
    if (error == 0)
        BAD("refused without an errno\n");
    else
        say("      refused: errno %d (%s)\n", error, strerror(error));
    if (now > locked_before)
        BAD("and locked_bytes rose from %zu to %zu\n", locked_before, now);
}

/*@ alloc alloc-aligned resize */
static void judge_place(int slot, size_t align)
{
    struct secret *s = &slots[slot];
    size_t least = subject.min_align != 0 ? subject.min_align : _Alignof(max_align_t);
    s->usable = subject.usable != NULL ? subject.usable(context, s->p) : s->n;
    say("      %zu bytes at %p, usable %zu\n", s->n, (void *)s->p, s->usable);
    if ((uintptr_t)s->p % (align > least ? align : least) != 0)
        BAD("not a multiple of %zu\n", align > least ? align : least);
    if (s->usable < s->n)
        BAD("fewer than asked for\n");
    for (int i = 0; i < 32; i++)
        if (i != slot && slots[i].p != NULL &&
            (uintptr_t)s->p < (uintptr_t)slots[i].p + (slots[i].usable ? slots[i].usable : 1) &&
            (uintptr_t)slots[i].p < (uintptr_t)s->p + (s->usable ? s->usable : 1))
            BAD("overlaps s%d\n", i);
}

/*@ alloc alloc-aligned */
static void take(int slot, void *p, size_t n, size_t align)
{
    if (p == NULL) {
        refused();
        return;
    }
    slots[slot] = (struct secret){.p = p, .n = n, .access = 2};
    judge_place(slot, align);
}

/*@ alloc */
static void do_alloc(int slot, size_t n)
{
    if (skip_unless(is_open && slots[slot].p == NULL))
        return;
    locked_before = locked_now();
    errno = 0;
    take(slot, subject.alloc(context, n), n, 1);
}

/*@ alloc-aligned */
static void do_alloc_aligned(int slot, size_t n, size_t align)
{
    if (skip_unless(is_open && slots[slot].p == NULL && subject.alloc_aligned != NULL))
        return;
    locked_before = locked_now();
    errno = 0;
    take(slot, subject.alloc_aligned(context, align, n), n, align);
}

/*@ free resize */
static void look_back(const char *what, const struct secret *old)
{
    size_t same = left_of(old, 0, old->known);
    if (same > 0)
        BAD("%s, %zu of %zu secret bytes are still there\n", what, same, old->known);
}

/*@ free */
static void do_free(int slot)
{
    if (skip_unless(is_open && slots[slot].p != NULL))
        return;
    subject.free(context, slots[slot].p, slots[slot].n);
    freed[slot] = slots[slot];
    memset(&slots[slot], 0, sizeof slots[slot]);
    look_back("after free", &freed[slot]);
}

/*@ resize */
/* Of one that was cut where it is, the whole words behind what it kept: they are nobody's. */
static void look_behind(const struct secret *old, size_t kept)
{
    size_t from = kept < old->known ? (kept + 7) & ~(size_t)7 : old->known;
    size_t bytes = from < old->known ? (old->known - from) & ~(size_t)7 : 0;
    size_t same = left_of(old, from, from + bytes);
    if (same > 0)
        BAD("behind what is left of it, %zu of %zu secret bytes are still there\n", same, bytes);
}

static void do_resize(int slot, size_t n)
{
    struct secret *s = &slots[slot], old = *s;
    if (skip_unless(is_open && s->p != NULL && subject.resize != NULL))
        return;
    locked_before = locked_now();
    errno = 0;
    void *p = subject.resize(context, s->p, s->n, n);
    if (p == NULL) {
        refused();
        return;
    }
    s->p = p;
    s->known = s->known < s->n ? s->known : s->n;
    s->known = s->known < n ? s->known : n;
    s->n = n;
    if (s->p != old.p) {
        freed[slot] = old;
        look_back("at the old place", &old);
    } else {
        look_behind(&old, n);
    }
    judge_place(slot, 1);
}

/*@ fill crowd storm */
static void plant(unsigned fill, unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((volatile unsigned char *)p)[i] = secret_byte(fill, i);
}

/*@ fill */
static void do_fill(int slot, int usable)
{
    struct secret *s = &slots[slot];
    size_t n = usable ? s->usable : s->n;
    if (skip_unless(is_open && s->p != NULL && s->access == 2 && n <= (size_t)64 << 20))
        return;
    s->fill = ++fills;
    s->known = n;
    plant(s->fill, s->p, n);
}

/*@ check */
static void do_check(int slot)
{
    const struct secret *s = &slots[slot];
    if (skip_unless(s->p != NULL && s->fill != 0 && s->access != 0))
        return;
    for (size_t i = 0; i < s->known; i++)
        if (((volatile unsigned char *)s->p)[i] != secret_byte(s->fill, i)) {
            BAD("byte %zu of %zu is not what was planted\n", i, s->known);
            return;
        }
    say("      all %zu bytes are what was planted\n", s->known);
}

/*@ look crowd-look storm */
static size_t locked_pages(const struct secret *s, size_t *pages)
{
    uintptr_t first = (uintptr_t)s->p / page * page,
              last = ((uintptr_t)s->p + s->n - 1) / page * page;
    size_t locked = 0;
    *pages = 0;
    for (uintptr_t at = first; s->n > 0 && at <= last; at += page, ++*pages)
        locked += raw(SYS_madvise, (long)at, (long)page, 21 /* MADV_PAGEOUT */, 0, 0, 0) == -EINVAL;
    return locked;
}

/*@ look */
static void do_look(int slot)
{
    size_t pages;
    if (skip_unless(slots[slot].p != NULL))
        return;
    size_t locked = locked_pages(&slots[slot], &pages);
    if (locked < pages)
        BAD("only %zu of %zu pages are locked\n", locked, pages);
    else
        say("      all %zu pages are locked\n", pages);
}

/*@ peek */
static void do_peek(int slot)
{
    const struct secret *s = slots[slot].p != NULL ? &slots[slot] : &freed[slot];
    if (skip_unless(s->p != NULL))
        return;
    size_t row, same = same_bytes(s, 0, s->known, &row);
    if (s == &freed[slot] && left_of(s, 0, s->known) > 0)
        BAD("%zu of %zu freed bytes are still there\n", same, s->known);
    else
        say("      %zu of %zu bytes are what was planted\n", same, s->known);
}

/*@ protect */
static void do_protect(int slot, int access)
{
    if (skip_unless(is_open && slots[slot].p != NULL && subject.protect != NULL))
        return;
    int error = subject.protect(context, slots[slot].p, access);
    if (error != 0)
        say("      refused: errno %d\n", error);
    else
        slots[slot].access = access;
}

/*@ touch walk smash stale */
enum way { READ, REWRITE, INVERT };

__attribute__((noinline, no_sanitize("address"))) static void
access_byte(volatile unsigned char *at, enum way way)
{
    if (way == READ)
        (void)*at;
    else
        *at = (unsigned char)(way == INVERT ? ~*at : *at);
}

/* How many of count bytes, one after the other, could be touched before one trapped. */
static size_t touch_bytes(uintptr_t at, int direction, size_t count, enum way way)
{
    volatile size_t done = 0;
    catch_signals();
    if (sigsetjmp(landing, 1) == 0) {
        probing = 1;
        for (; done < count; done++)
            access_byte((volatile unsigned char *)(direction > 0 ? at + done : at - done), way);
    }
    probing = 0;
    if (done < count)
        say("      trapped at %p (%s)\n", (void *)(direction > 0 ? at + done : at - done),
            trap_code == SEGV_ACCERR ? "no access" : "no memory");
    return done;
}

/*@ touch */
static void do_touch(int slot, char side, enum way way, size_t distance)
{
    uintptr_t p = (uintptr_t)slots[slot].p;
    size_t n = slots[slot].n;
    if (skip_unless(slots[slot].p != NULL && (side != 'i' || distance < n)))
        return;
    if (touch_bytes(side == 'b'   ? p - 1 - distance
                    : side == 'a' ? p + n + distance
                                  : p + distance,
                    1, 1, way) == 1)
        say("      no trap\n");
}

/*@ walk smash */
static void run_outward(int slot, char side, size_t limit, enum way way)
{
    uintptr_t p = (uintptr_t)slots[slot].p;
    if (skip_unless(slots[slot].p != NULL))
        return;
    size_t done = touch_bytes(side == 'b' ? p - 1 : p + slots[slot].n, side == 'b' ? -1 : 1,
                              limit < (size_t)64 << 20 ? limit : (size_t)64 << 20, way);
    say("      %zu bytes past the end were %s\n", done, way == READ ? "read" : "overwritten");
}

/*@ stale */
static void do_stale(int slot, enum way way)
{
    const struct secret *s = &freed[slot];
    size_t open_pages = 0, pages = 0;
    if (skip_unless(s->p != NULL))
        return;
    for (uintptr_t at = (uintptr_t)s->p; at < (uintptr_t)s->p + s->n;
         at = (at / page + 1) * page, pages++)
        open_pages += touch_bytes(at, 1, 1, way);
    say("      %zu of %zu pages of the freed secret could be touched\n", open_pages, pages);
}

/*@ misuse */
static _Alignas(64) unsigned char foreign[4096];

static void do_misuse(int slot, char kind, size_t offset)
{
    const struct secret *s = kind == 'd' ? &freed[slot] : &slots[slot];
    size_t n = s->n;
    unsigned char *p = s->p;
    offset = offset == 0 ? 1 : offset;
    int possible = is_open && (kind == 'f' || p != NULL);
    for (int i = 0; i < 32; i++)
        possible = possible && !(kind == 'd' && slots[i].p == p);
    if (skip_unless(possible))
        return;
    if (kind == 'f') {
        n = n > 0 && n < sizeof foreign ? n : 32;
        p = foreign;
    }
    if (kind == 'i')
        p = (unsigned char *)((uintptr_t)p + offset);
    if (kind == 'w')
        n += offset;
    say("      free(%p, %zu)\n", (void *)p, n);
    catch_signals();
    subject.free(context, p, n);
    BAD("free returned as if nothing were wrong\n");
    if (kind == 'w')
        memset(&slots[slot], 0, sizeof slots[slot]);
}

/*@ fork */
static void use_in_child(void)
{
    if (is_open && (subject.flags & 8 /* may allocate */)) {
        unsigned char *p = subject.alloc(context, 40);
        if (p == NULL)
            _exit(1);
        memset(p, 0x5a, 40);
        subject.free(context, p, 40);
    }
    for (int i = 0; i < 32 && is_open && (subject.flags & 16 /* may free */); i++)
        if (slots[i].p != NULL)
            subject.free(context, slots[i].p, slots[i].n);
}

static void do_fork(int raw_clone, int use)
{
    int status = 0, waited = 0;
    long pid = raw_clone ? raw(SYS_clone, SIGCHLD, 0, 0, 0, 0, 0) : (long)fork();
    if (pid == 0) {
        in_child = 1;
        memory_file = open("/proc/self/mem", O_RDONLY | O_CLOEXEC); /* not the parent's */
        for (int i = 0; i < 32; i++)
            if (slots[i].p != NULL && left_of(&slots[i], 0, slots[i].known) > 0)
                BAD("the child can read s%d\n", i);
        if (use)
            use_in_child();
        _exit(wrong ? 4 : 0);
    }
    if (pid < 0) {
        say("      refused\n");
        return;
    }
    for (; waited < 5000 && waitpid((pid_t)pid, &status, WNOHANG) == 0; waited++)
        usleep(1000);
    if (waited == 5000) {
        kill((pid_t)pid, SIGKILL);
        waitpid((pid_t)pid, &status, 0);
        BAD("the child hung\n");
    }
    if (WIFSIGNALED(status))
        say("      the child died of signal %d\n", WTERMSIG(status));
    else
        say("      the child exited with %d\n", WEXITSTATUS(status));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 4)
        wrong = 1;
}

/*@ crowd crowd-look crowd-free */
static struct secret crowd[131072];

/*@ crowd */
/* As many as are certainly more than the limit lets one lock. */
MAYBE static size_t full(size_t n, size_t most)
{
    struct rlimit limit = {0, 0};
    getrlimit(RLIMIT_MEMLOCK, &limit);
    return n == 0 || limit.rlim_cur / n + 1 > most ? most : (size_t)(limit.rlim_cur / n + 1);
}

static void do_crowd(size_t n, size_t count)
{
    size_t added = 0;
    if (skip_unless(is_open))
        return;
    for (; added < count && crowd_count < 131072; added++) {
        locked_before = locked_now();
        errno = 0;
        void *p = subject.alloc(context, n);
        if (p == NULL) {
            refused();
            break;
        }
        struct secret *s = &crowd[crowd_count++];
        *s = (struct secret){.p = p, .n = n, .known = n, .fill = ++fills};
        plant(s->fill, s->p, n);
    }
    say("      %zu more, %zu in all\n", added, crowd_count);
}

/*@ crowd-look */
static void do_crowd_look(void)
{
    size_t whole = 0, locked = 0, pages;
    for (size_t i = 0; i < crowd_count; i++) {
        locked += locked_pages(&crowd[i], &pages) == pages;
        size_t same = 0;
        while (same < crowd[i].n && crowd[i].p[same] == secret_byte(crowd[i].fill, same))
            same++;
        whole += same == crowd[i].n;
    }
    say("      of %zu, %zu are whole and %zu locked\n", crowd_count, whole, locked);
    if (whole < crowd_count || locked < crowd_count)
        BAD("not all of them are\n");
}

/*@ crowd-free */
static void do_crowd_free(char order)
{
    size_t kept = 0;
    if (skip_unless(is_open))
        return;
    for (size_t i = 0; i < crowd_count; i++) {
        const struct secret *s = &crowd[order == 'l' ? crowd_count - 1 - i : i];
        if (order == 'e' && i % 2 == 1)
            crowd[kept++] = *s;
        else
            subject.free(context, s->p, s->n);
    }
    crowd_count = kept;
    say("      %zu are left\n", crowd_count);
}

/*@ storm */
static struct {
    size_t n, rounds;
    atomic_size_t handed_out, whole, locked;
    atomic_uint fills, turns, begun;
    struct secret places[8][8], post_places[4];
    struct secret *_Atomic posts[4]; /* by which one thread's secrets come to another */
} storm;

static void storm_free(struct secret *s)
{
    size_t same = 0, pages, locked = locked_pages(s, &pages);
    while (same < s->n && s->p[same] == secret_byte(s->fill, same))
        same++;
    atomic_fetch_add(&storm.whole, same == s->n);
    atomic_fetch_add(&storm.locked, locked == pages);
    subject.free(context, s->p, s->n);
    s->p = NULL;
}

/* Plainly, by a resize, or with an alignment: what is offered, in turn. */
static unsigned char *storm_alloc(unsigned turn, size_t n)
{
    unsigned char *p = NULL, *half;
    if (turn % 4 == 1 && subject.resize != NULL && n > 1) {
        if ((half = subject.alloc(context, n / 2)) == NULL)
            return NULL;
        if ((p = subject.resize(context, half, n / 2, n)) == NULL)
            subject.free(context, half, n / 2);
        return p;
    }
    if (turn % 4 == 3 && subject.alloc_aligned != NULL)
        p = subject.alloc_aligned(context, 64, n);
    return p != NULL ? p : subject.alloc(context, n);
}

static void *storm_thread(void *unused)
{
    struct secret *ring[8], *own = storm.places[atomic_fetch_add(&storm.begun, 1)];
    for (size_t i = 0; i < 8; i++)
        ring[i] = &own[i];
    uint32_t random = (uint32_t)(uintptr_t)&ring >> 4 | 1;
    (void)unused;
    for (size_t i = 0; i < storm.rounds + 8; i++) {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        struct secret **place = &ring[i < storm.rounds ? random % 8 : i - storm.rounds],
                      *s = *place;
        if (i < storm.rounds && (random >> 16) % 4 == 0)
            *place = s = atomic_exchange(&storm.posts[(random >> 8) % 4], s);
        int empty = s->p == NULL;
        if (empty && i < storm.rounds)
            s->p = storm_alloc(atomic_fetch_add(&storm.turns, 1), storm.n);
        if (empty && s->p != NULL) {
            s->n = storm.n;
            s->fill = atomic_fetch_add(&storm.fills, 1) + 1;
            plant(s->fill, s->p, s->n);
            atomic_fetch_add(&storm.handed_out, 1);
        } else if (s->p != NULL) {
            storm_free(s);
        }
    }
    return NULL;
}

static void do_storm(size_t n, size_t rounds, unsigned threads)
{
    pthread_t started[8];
    unsigned count = 0;
    if (skip_unless(is_open && n <= (size_t)1 << 20))
        return;
    storm.n = n;
    storm.rounds = rounds;
    storm.handed_out = storm.whole = storm.locked = 0;
    storm.fills = fills;
    storm.begun = 0;
    memset(storm.places, 0, sizeof storm.places);
    memset(storm.post_places, 0, sizeof storm.post_places);
    for (size_t i = 0; i < 4; i++)
        storm.posts[i] = &storm.post_places[i];
    while (count < threads && pthread_create(&started[count], NULL, storm_thread, NULL) == 0)
        count++;
    for (unsigned i = 0; i < count; i++)
        pthread_join(started[i], NULL);
    for (size_t i = 0; i < 4; i++)
        if (storm.posts[i]->p != NULL)
            storm_free(storm.posts[i]);
    fills = storm.fills;
    say("      of %zu, %zu were whole and %zu locked when they were freed\n", storm.handed_out,
        storm.whole, storm.locked);
    if (storm.whole < storm.handed_out || storm.locked < storm.handed_out)
        BAD("not all of them were\n");
}

/*@ baton */
/* The second thread does one part at a time; the first waits for it. */
static sem_t go, done;
static void (*second_part)(void);

static void *second_thread(void *unused)
{
    (void)unused;
    for (;;) {
        while (sem_wait(&go) != 0)
            continue;
        second_part();
        sem_post(&done);
    }
    return NULL;
}

MAYBE static void on_second_thread(void (*part)(void))
{
    static pthread_t thread;
    static int made;
    if (!made++) {
        sem_init(&go, 0, 0);
        sem_init(&done, 0, 0);
        if (pthread_create(&thread, NULL, second_thread, NULL) != 0) {
            fprintf(stderr, "no second thread\n");
            exit(2);
        }
    }
    second_part = part;
    sem_post(&go);
    while (sem_wait(&done) != 0)
        continue;
}
/*@ end */
