/*
 * worker.h - the process that one allocator works in, and what it says to the parent over a pipe.
 *
 *     first      struct state: whether its secrets are set up, and what they take
 *     command    a pattern: struct cost, of a burst of it          anything else: struct state again, and it ends
 */
#ifndef WORKER_H
#define WORKER_H

#include "allocator.h"

#define MAX_THREADS 2
#define SETUP_LIMIT_NS 2e9

enum pattern { SAME, RANDOM, PATTERNS };

struct usage {
    double locked_bytes, resident_bytes, mappings;
};

struct state {
    char why_not[120]; /* "" if all is well */
    struct usage per_secret;
};

/* Of one pair: by the clock on the wall, and by what this thread had of the processor. Negative: it failed. */
struct cost {
    double wall_ns, cpu_ns;
};

extern double worker_burst_ns;

/* Does not return. */
void worker(const struct allocator *allocator, const struct need *need, size_t thread_count, int in,
            int out);

double now_ns(void);
/* By asking the kernel to page it out, which it refuses for what is locked. */
bool is_locked(const void *secret, size_t size_bytes);

#endif
