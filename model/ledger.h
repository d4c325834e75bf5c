/* SPDX-License-Identifier: MIT */
/*
 * ledger.h: the in-process observer: an interposer of the calls by which memory is mapped, locked
 * and given back.
 *
 * Link ledger.c into an executable (with its symbols exported, -rdynamic): the libc functions mmap,
 * munmap, mremap, mprotect, madvise, mlock, mlock2, munlock, mlockall, munlockall, getrandom,
 * getentropy and syscall are then ours, for every object in the process. Each is carried out by a
 * raw system call, so locks stay real under ASan, MSan and TSan, whose own mlock does nothing and
 * returns 0.
 *
 *     subject -> mlock() --> ledger: count, fail?, report a release --> kernel
 *     subject -> "syscall" instruction, libc from within -------------> kernel      (not seen)
 *
 * What it cannot see: raw system calls (Go's run-time, libc's own). Whoever judges by the ledger
 * compares what it saw with VmLck and says `not observable here` where they disagree.
 */
#ifndef MODEL_LEDGER_H
#define MODEL_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Called before memory leaves the subject's care: munmap, munlock, madvise that discards, the tail
 * that mremap cuts off and what it puts a mapping upon, the range under a MAP_FIXED, a lowered brk.
 * The place that mremap moves a mapping away from is none of them: the bytes move along. call is
 * the kernel's number; the range is in whole pages (munlockall: all of memory). Must be
 * async-signal-safe and must not call what is interposed. */
typedef void ledger_release(void *arg, long call, uintptr_t address, size_t size_bytes);

/* Called after a call that maps or unmaps memory has succeeded and was reported so: mmap, munmap,
 * mremap (old_address is where it was). Under the same conditions as ledger_release. */
typedef void ledger_mapped(void *arg, long call, uintptr_t old_address, uintptr_t address,
                           size_t size_bytes);

struct ledger_counts {
    uint64_t calls;    /* interposed calls of any kind */
    uint64_t locks;    /* mlock, mlock2, mlockall that succeeded */
    uint64_t releases; /* as ledger_release sees them */
    uint64_t faults;   /* calls that were made to fail */
    uint64_t shared;   /* mappings made of files, or shared: not only what was touched has bytes */
};

/* release may be NULL. */
void ledger_watch(ledger_release *release, void *arg);
/* mapped may be NULL. */
void ledger_trace(ledger_mapped *mapped, void *arg);
/* Calls made so far; monotonic. */
struct ledger_counts ledger_counts(void);
/* Makes the nth next call of a kind fail with error (see program.h, MODEL_FAIL). kind is an enum
 * model_call. One fault per kind; error 0: all of them are taken back. */
void ledger_fail(unsigned kind, unsigned nth, int error, bool after, bool on);
/* Faults strike, and calls count towards them, only while armed; armed to begin with. Disarm around
 * what is not the subject's. */
void ledger_arm(bool armed);
/* True if a page that is locked by a raw system call shows in VmLck. Needs one page of RLIMIT_MEMLOCK. */
bool ledger_can_lock(void);
/* True if a lock taken through libc's mlock, as a subject would call it, shows in VmLck: locks are
 * real in this process. Needs one page of RLIMIT_MEMLOCK. */
bool ledger_locks_are_real(void);

#endif
