/* SPDX-License-Identifier: MIT */
/*
 * ledger.h: the in-process observer: an interposer of the calls by which memory is mapped, locked
 * and given back.
 *
 * Link ledger.c into an executable (with its symbols exported, -rdynamic): the libc functions mmap,
 * munmap, mremap, mprotect, madvise, mlock, mlock2, munlock, mlockall, munlockall and syscall are
 * then ours, for every object in the process. Each is carried out by a raw system call, so locks
 * stay real under ASan, MSan and TSan, whose own mlock does nothing and returns 0.
 *
 * What it cannot see: raw system calls (Go's run-time, libc's own). Whoever judges by the ledger
 * compares ledger_locked_bytes() with VmLck and says `not observable here` where they disagree.
 */
#ifndef MODEL_LEDGER_H
#define MODEL_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Called before memory leaves the subject's care: munmap, munlock, madvise that discards, the tail
 * or the old place of mremap, the range under a MAP_FIXED. call is the kernel's number. May be NULL.
 * Must be async-signal-safe and must not call what is interposed. */
typedef void ledger_release(void *arg, long call, uintptr_t address, size_t size_bytes);

struct ledger_counts {
    uint64_t calls;    /* interposed calls of any kind */
    uint64_t locks;    /* mlock, mlock2, mlockall that succeeded */
    uint64_t releases; /* as ledger_release sees them */
};

void ledger_watch(ledger_release *release, void *arg);
/* Calls made so far; monotonic. */
struct ledger_counts ledger_counts(void);
/* Makes the nth next call of a kind fail with error (see program.h, MODEL_FAIL); error 0: heal.
 * kind is an enum model_call. */
void ledger_fail(unsigned kind, unsigned nth, int error, bool after, bool on);
/* True if a lock taken through libc's mlock shows in VmLck: locks are real in this process. */
bool ledger_locks_are_real(void);

#endif
