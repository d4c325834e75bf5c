/*
 * quota.h - how much may be locked.
 *
 *     locked by this heap  <=  its budget
 *     locked by all heaps  <=  the soft RLIMIT_MEMLOCK
 *
 * The kernel enforces the second only for a process without CAP_IPC_LOCK (mlock(2)); we always do.
 * Both counts live in memory that the kernel clears in a forked child, where no page is locked (fork(2)): they are
 * right there without anybody having to notice the fork.
 */
#ifndef QUOTA_H
#define QUOTA_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#pragma GCC visibility push(hidden)

struct quota {
    _Atomic size_t locked_bytes;
    _Atomic size_t high_water_bytes;
    _Atomic size_t failed_locks; /* refused by the kernel, not by us */
};

/* Counts size_bytes, before they are locked. false and errno: ENOMEM if that would pass a limit. */
bool quota_take(struct quota *quota, size_t budget_bytes, size_t size_bytes);

/* Whether the heap's own budget has room for so many more. */
bool quota_is_within_budget(struct quota *quota, size_t budget_bytes, size_t size_bytes);

/* Whether quota_take would count them now. */
bool quota_has(struct quota *quota, size_t budget_bytes, size_t size_bytes);

/* Counts them no more, after they were unlocked. */
void quota_give(struct quota *quota, size_t size_bytes);

#pragma GCC visibility pop

#endif
