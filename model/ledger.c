/* SPDX-License-Identifier: MIT */
/*
 * ledger.c: libc's memory calls, written again over raw system calls; see ledger.h.
 *
 * Every entry, `syscall` included, ends in enter(), which works on the kernel's number and the
 * kernel's arguments: there a call is counted, failed, or reported as a release.
 *
 * Whatever lies on that way is MODEL_UNCHECKED: a sanitizer's run-time calls mmap itself, before it
 * is ready for instrumented code.
 */
/* With 64-bit offsets by default, glibc renames mmap to mmap64: both would be defined twice here. */
#undef _FILE_OFFSET_BITS
#include "ledger.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "program.h"
#include "raw.h"
#include "tools.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif
#ifdef SYS_mmap2
#define CALL_MMAP SYS_mmap2
#define MMAP_OFFSET_UNIT 4096 /* whatever the page size */
#else
#define CALL_MMAP SYS_mmap
#define MMAP_OFFSET_UNIT 1
#endif

/* A fault that waits for its call. */
struct fault {
    _Atomic unsigned left; /* calls until it strikes; 0: none */
    _Atomic int error;
    _Atomic bool after, on;
};

/* The functions below have no argument through which state could be passed. */
static struct ledger {
    _Atomic(ledger_release *) release;
    _Atomic(void *) release_arg;
    _Atomic(ledger_mapped *) mapped;
    _Atomic(void *) mapped_arg;
    _Atomic size_t calls, locks, releases, faults, shared;
    _Atomic bool disarmed;
    struct fault fault[MODEL_CALLS];
} ledger;

/* What a system call was asked. */
struct call {
    long number, a, b, c, d, e, f;
};

/* -------------------------------------------------------------------------------------- kinds */

/* The kind by which `fail` names a call; MODEL_CALLS: none of them. */
MODEL_UNCHECKED static unsigned kind_of(long number)
{
    switch (number) {
    case SYS_mlock:
    case SYS_mlock2:
    case SYS_mlockall:
        return MODEL_CALL_LOCK;
    case CALL_MMAP:
        return MODEL_CALL_MMAP;
    case SYS_mprotect:
        return MODEL_CALL_MPROTECT;
    case SYS_madvise:
        return MODEL_CALL_MADVISE;
    case SYS_munmap:
        return MODEL_CALL_MUNMAP;
    case SYS_munlock:
    case SYS_munlockall:
        return MODEL_CALL_MUNLOCK;
    case SYS_memfd_secret:
        return MODEL_CALL_MEMFD_SECRET;
    case SYS_getrandom:
        return MODEL_CALL_GETRANDOM;
    default:
        return MODEL_CALLS;
    }
}

MODEL_UNCHECKED static bool is_ours(long number)
{
    return kind_of(number) != MODEL_CALLS || number == SYS_mremap || number == SYS_brk;
}

/* ----------------------------------------------------------------------------------- releases */

/* Reports the pages that hold a byte of the range. */
MODEL_UNCHECKED static void released(long number, uintptr_t address, size_t size_bytes)
{
    uintptr_t mask = (uintptr_t)getauxval(AT_PAGESZ) - 1;
    uintptr_t first = address & ~mask;
    ledger_release *release = atomic_load(&ledger.release);
    if (size_bytes == 0)
        return;
    if (size_bytes != SIZE_MAX)
        size_bytes = (size_bytes + (address & mask) + mask) & ~mask;
    atomic_fetch_add(&ledger.releases, 1);
    if (release != NULL)
        release(atomic_load(&ledger.release_arg), number, first, size_bytes);
}

MODEL_UNCHECKED static bool discards(long advice)
{
    return advice == MADV_DONTNEED || advice == MADV_FREE || advice == MADV_REMOVE ||
           advice == MADV_DONTNEED_LOCKED;
}

MODEL_UNCHECKED static void mremap_releases(const struct call *c)
{
    if ((size_t)c->c < (size_t)c->b)
        released(c->number, (uintptr_t)c->a + (uintptr_t)c->c, (size_t)c->b - (size_t)c->c);
    if (c->d & MREMAP_FIXED)
        released(c->number, (uintptr_t)c->e, (size_t)c->c);
}

MODEL_UNCHECKED static void brk_releases(const struct call *c)
{
    uintptr_t now = (uintptr_t)raw_call1(SYS_brk, 0), new = (uintptr_t)c->a;
    if (new != 0 && new < now)
        released(c->number, new, now - new);
}

/* Reports what this call, if it succeeds, takes out of the subject's care. */
MODEL_UNCHECKED static void releases(const struct call *c)
{
    switch (c->number) {
    case SYS_munmap:
    case SYS_munlock:
        released(c->number, (uintptr_t)c->a, (size_t)c->b);
        break;
    case SYS_munlockall:
        released(c->number, 0, SIZE_MAX);
        break;
    case SYS_madvise:
        if (discards(c->c))
            released(c->number, (uintptr_t)c->a, (size_t)c->b);
        break;
    case SYS_mremap:
        mremap_releases(c);
        break;
    case CALL_MMAP:
        if (c->d & MAP_FIXED)
            released(c->number, (uintptr_t)c->a, (size_t)c->b);
        break;
    case SYS_brk:
        brk_releases(c);
        break;
    default:
        break;
    }
}

/* -------------------------------------------------------------------------------------- faults */

/* The errno with which this call is to fail, or 0. */
MODEL_UNCHECKED static int fault_due(unsigned kind, bool *after)
{
    if (kind == MODEL_CALLS || atomic_load(&ledger.disarmed))
        return 0;
    struct fault *fault = &ledger.fault[kind];
    unsigned left = atomic_load(&fault->left);
    if (left == 0)
        return 0;
    if (left > 1) {
        atomic_store(&fault->left, left - 1);
        return 0;
    }
    if (!atomic_load(&fault->on))
        atomic_store(&fault->left, 0);
    *after = atomic_load(&fault->after);
    atomic_fetch_add(&ledger.faults, 1);
    return atomic_load(&fault->error);
}

void ledger_fail(unsigned kind, unsigned nth, int error, bool after, bool on)
{
    if (error == 0) {
        for (unsigned i = 0; i < MODEL_CALLS; i++)
            atomic_store(&ledger.fault[i].left, 0);
        return;
    }
    struct fault *fault = &ledger.fault[kind % MODEL_CALLS];
    atomic_store(&fault->left, 0); /* so that no call meets it half changed */
    atomic_store(&fault->error, error);
    atomic_store(&fault->after, after);
    atomic_store(&fault->on, on);
    atomic_store(&fault->left, nth == 0 ? 1 : nth);
}

void ledger_arm(bool armed)
{
    atomic_store(&ledger.disarmed, !armed);
}

/* --------------------------------------------------------------------------------------- enter */

MODEL_UNCHECKED static long carry_out(const struct call *c)
{
    return raw_call6(c->number, c->a, c->b, c->c, c->d, c->e, c->f);
}

/* Reports a change of the address space. */
MODEL_UNCHECKED static void trace(const struct call *c, long result)
{
    ledger_mapped *mapped = atomic_load(&ledger.mapped);
    void *arg = atomic_load(&ledger.mapped_arg);
    if (mapped == NULL)
        return;
    if (c->number == CALL_MMAP)
        mapped(arg, c->number, 0, (uintptr_t)result, (size_t)c->b);
    else if (c->number == SYS_munmap)
        mapped(arg, c->number, (uintptr_t)c->a, 0, (size_t)c->b);
    else if (c->number == SYS_mremap)
        mapped(arg, c->number, (uintptr_t)c->a, (uintptr_t)result, (size_t)c->c);
}

/* Returns as the kernel does. */
MODEL_UNCHECKED static long enter(struct call c)
{
    bool after = false;
    if (!is_ours(c.number))
        return carry_out(&c);
    unsigned kind = kind_of(c.number);
    int error = fault_due(kind, &after);
    atomic_fetch_add(&ledger.calls, 1);
    if (error != 0 && !after)
        return -error;
    releases(&c);
    long result = carry_out(&c);
    if (kind == MODEL_CALL_LOCK && !raw_failed(result))
        atomic_fetch_add(&ledger.locks, 1);
    if (kind == MODEL_CALL_MMAP &&
        (c.d & (MAP_ANONYMOUS | MAP_TYPE)) != (MAP_ANONYMOUS | MAP_PRIVATE))
        atomic_fetch_add(&ledger.shared, 1);
    if (error == 0 && !raw_failed(result))
        trace(&c, result);
    return error != 0 ? -error : result;
}

/* As libc does: -1 and errno. */
MODEL_UNCHECKED static long settle(long result)
{
    if (!raw_failed(result))
        return result;
    errno = (int)-result;
    return -1;
}

/* ---------------------------------------------------------------------------- libc's functions */

MODEL_UNCHECKED void *mmap64(void *address, size_t size, int access, int flags, int file,
                             off64_t offset)
{
    struct call c = {CALL_MMAP,
                     (long)address,
                     (long)size,
                     access,
                     flags,
                     file,
                     (long)(offset / MMAP_OFFSET_UNIT)};
    if (offset % MMAP_OFFSET_UNIT != 0)
        return errno = EINVAL, MAP_FAILED;
    return (void *)settle(enter(c));
}

MODEL_UNCHECKED void *mmap(void *address, size_t size, int access, int flags, int file,
                           off_t offset)
{
    return mmap64(address, size, access, flags, file, offset);
}

MODEL_UNCHECKED int munmap(void *address, size_t size)
{
    return (int)settle(enter((struct call){SYS_munmap, .a = (long)address, .b = (long)size}));
}

MODEL_UNCHECKED void *mremap(void *address, size_t old_size, size_t new_size, int flags, ...)
{
    struct call c = {SYS_mremap, (long)address, (long)old_size, (long)new_size, flags, 0, 0};
    if (flags & MREMAP_FIXED) {
        va_list list;
        va_start(list, flags);
        c.e = (long)va_arg(list, void *);
        va_end(list);
    }
    return (void *)settle(enter(c));
}

MODEL_UNCHECKED int mprotect(void *address, size_t size, int access)
{
    struct call c = {SYS_mprotect, .a = (long)address, .b = (long)size, .c = access};
    return (int)settle(enter(c));
}

MODEL_UNCHECKED int madvise(void *address, size_t size, int advice)
{
    struct call c = {SYS_madvise, .a = (long)address, .b = (long)size, .c = advice};
    return (int)settle(enter(c));
}

MODEL_UNCHECKED int mlock(const void *address, size_t size)
{
    return (int)settle(enter((struct call){SYS_mlock, .a = (long)address, .b = (long)size}));
}

MODEL_UNCHECKED int mlock2(const void *address, size_t size, unsigned flags)
{
    struct call c = {SYS_mlock2, .a = (long)address, .b = (long)size, .c = (long)flags};
    return (int)settle(enter(c));
}

MODEL_UNCHECKED int munlock(const void *address, size_t size)
{
    return (int)settle(enter((struct call){SYS_munlock, .a = (long)address, .b = (long)size}));
}

MODEL_UNCHECKED int mlockall(int flags)
{
    return (int)settle(enter((struct call){SYS_mlockall, .a = flags}));
}

MODEL_UNCHECKED int munlockall(void)
{
    return (int)settle(enter((struct call){.number = SYS_munlockall}));
}

MODEL_UNCHECKED ssize_t getrandom(void *out, size_t size, unsigned flags)
{
    struct call c = {SYS_getrandom, .a = (long)out, .b = (long)size, .c = (long)flags};
    return (ssize_t)settle(enter(c));
}

MODEL_UNCHECKED int getentropy(void *out, size_t size)
{
    unsigned char *at = out;
    if (size > 256)
        return errno = EIO, -1;
    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);
        if (got < 0 && errno != EINTR)
            return -1;
        if (got > 0) {
            at += got;
            size -= (size_t)got;
        }
    }
    return 0;
}

/* Reads six arguments whatever the call has, as libc's own does. */
MODEL_UNCHECKED long syscall(long number, ...)
{
    struct call c = {.number = number};
    va_list list;
    va_start(list, number);
    c.a = va_arg(list, long);
    c.b = va_arg(list, long);
    c.c = va_arg(list, long);
    c.d = va_arg(list, long);
    c.e = va_arg(list, long);
    c.f = va_arg(list, long);
    va_end(list);
    return settle(enter(c));
}

/* -------------------------------------------------------------------------------- the observer */

void ledger_watch(ledger_release *release, void *arg)
{
    atomic_store(&ledger.release, NULL); /* the old one is never called with the new argument */
    atomic_store(&ledger.release_arg, arg);
    atomic_store(&ledger.release, release);
}

void ledger_trace(ledger_mapped *mapped, void *arg)
{
    atomic_store(&ledger.mapped, NULL);
    atomic_store(&ledger.mapped_arg, arg);
    atomic_store(&ledger.mapped, mapped);
}

struct ledger_counts ledger_counts(void)
{
    return (struct ledger_counts){.calls = atomic_load(&ledger.calls),
                                  .locks = atomic_load(&ledger.locks),
                                  .releases = atomic_load(&ledger.releases),
                                  .faults = atomic_load(&ledger.faults),
                                  .shared = atomic_load(&ledger.shared)};
}

/* VmLck in KiB; -1 if it cannot be read. */
static long locked_kib(void)
{
    char text[4096] = ""; /* set, for MSan cannot see a raw read */
    long file = raw_call4(SYS_openat, AT_FDCWD, "/proc/self/status", O_RDONLY | O_CLOEXEC, 0);
    if (raw_failed(file))
        return -1;
    long length = raw_call3(SYS_read, file, text, sizeof text - 1);
    raw_call1(SYS_close, file);
    text[raw_failed(length) ? 0 : length] = '\0';
    const char *line = strstr(text, "VmLck:");
    return line == NULL ? -1 : strtol(line + strlen("VmLck:"), NULL, 10);
}

typedef int lock_function(const void *address, size_t size);

/* Which function a subject would reach by this name: not necessarily the one in this file. */
static lock_function *lock_reached(const char *name)
{
    lock_function *function = NULL;
    void *symbol = dlsym(RTLD_DEFAULT, name);
    memcpy(&function, &symbol, sizeof function);
    return function;
}

static int raw_lock(const void *address, size_t size)
{
    return (int)raw_call2(SYS_mlock, address, size);
}

static int raw_unlock(const void *address, size_t size)
{
    return (int)raw_call2(SYS_munlock, address, size);
}

/* Does VmLck rise by the page that is locked so? */
static bool lock_shows(lock_function *lock, lock_function *unlock)
{
    size_t page_bytes = (size_t)getauxval(AT_PAGESZ);
    long page = raw_map_anonymous(page_bytes);
    if (lock == NULL || unlock == NULL || raw_failed(page))
        return false;
    long before = locked_kib();
    bool locked = lock((const void *)page, page_bytes) == 0;
    long during = locked_kib();
    unlock((const void *)page, page_bytes);
    raw_call2(SYS_munmap, page, page_bytes);
    return locked && before >= 0 && during == before + (long)(page_bytes >> 10);
}

bool ledger_can_lock(void)
{
    return lock_shows(raw_lock, raw_unlock);
}

bool ledger_locks_are_real(void)
{
    return lock_shows(lock_reached("mlock"), lock_reached("munlock"));
}
