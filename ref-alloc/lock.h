/*
 * lock.h - a small lock: 0 free, 1 held.
 *
 * Not pthread_mutex_t, because a lock must be repairable by storing 0: in a child made by a raw clone no
 * pthread_atfork handler has run, and the thread that held the lock doesn't exist there.
 *
 * A lock is never held over a system call (but for that of process.h), nor while user code runs: it is free again
 * within nanoseconds, unless its holder was preempted. So who waits spins first, then lets others run, then sleeps
 * for moments, which lets a holder of lower priority run too. Nobody needs to be woken, and to give a lock is one
 * plain store.
 */
#ifndef LOCK_H
#define LOCK_H

#include <stdatomic.h>
#include <stdint.h>

#include "os.h"

#define LOCK_SPINS 200U
#define LOCK_YIELDS 20U

struct lock {
    _Atomic uint32_t held;
};

static inline bool lock_try(struct lock *lock)
{
    return atomic_exchange_explicit(&lock->held, 1, memory_order_acquire) == 0;
}

static inline void lock_wait(struct lock *lock)
{
    for (unsigned tries = 0;; tries++) {
        if (atomic_load_explicit(&lock->held, memory_order_relaxed) == 0 && lock_try(lock))
            return;
        if (tries >= LOCK_SPINS + LOCK_YIELDS)
            os_sleep_a_moment();
        else if (tries >= LOCK_SPINS)
            os_yield();
    }
}

static inline void lock_take(struct lock *lock)
{
    if (__builtin_expect(!lock_try(lock), 0))
        lock_wait(lock);
}

static inline void lock_give(struct lock *lock)
{
    atomic_store_explicit(&lock->held, 0, memory_order_release);
}

#endif
