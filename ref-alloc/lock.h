/*
 * lock.h - a small lock.
 *
 *   0 free     1 held     2 held, and somebody may be asleep
 *
 * Not pthread_mutex_t, because a lock must be repairable by storing 0: in a child made by a raw clone no
 * pthread_atfork handler has run, and the thread that held the lock doesn't exist there.
 * A lock is never held over a system call, nor while user code runs: it is free again within nanoseconds.
 */
#ifndef LOCK_H
#define LOCK_H

#include <stdatomic.h>
#include <stdint.h>

#include "os.h"

struct lock {
    _Atomic uint32_t word;
};

#define LOCK_SPINS 200

static inline void lock_wait(struct lock *lock)
{
    for (int spin = 0; spin < LOCK_SPINS; spin++) {
        uint32_t seen = 0;
        if (atomic_compare_exchange_weak_explicit(&lock->word, &seen, 1, memory_order_acquire,
                                                  memory_order_relaxed))
            return;
    }
    while (atomic_exchange_explicit(&lock->word, 2, memory_order_acquire) != 0)
        os_wait(&lock->word, 2);
}

static inline void lock_take(struct lock *lock)
{
    uint32_t seen = 0;
    if (!atomic_compare_exchange_strong_explicit(&lock->word, &seen, 1, memory_order_acquire,
                                                 memory_order_relaxed))
        lock_wait(lock);
}

static inline void lock_give(struct lock *lock)
{
    if (atomic_exchange_explicit(&lock->word, 0, memory_order_release) == 2)
        os_wake_one(&lock->word);
}

#endif
