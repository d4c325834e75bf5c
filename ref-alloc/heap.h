/*
 * heap.h - what one heap consists of, and what its two placements need to know of it.
 *
 *     ref_alloc.h --> heap.c --> guarded.c --+--> pool.c --> span.c --> os.c
 *                      |  \----> packed.c ---+      \---> quota.c, directory.c, metadata.c
 *                      \---> process.c: the other heaps       layout.c: where things lie, for all of them
 *
 * Functions that may find misuse return the message for `fatal`, or NULL if all is well. They hold no lock when
 * they return, so that a handler may longjmp over them.
 */
#ifndef HEAP_H
#define HEAP_H

#include "packed.h"
#include "pool.h"
#include "ref_alloc.h"

#pragma GCC visibility push(hidden)

/* A page that the kernel clears in a forked child: era 0 there says that the heap is not the child's yet. */
struct forked {
    _Atomic uint32_t era;
    struct quota quota;
    _Atomic size_t guarded_secrets;
    _Atomic size_t guarded_bytes;
    struct ref_alloc_heap *older, *newer; /* in the list of process.c */
    bool listed;
};

struct ref_alloc_heap {
    struct forked *forked;
    size_t page_bytes;
    uint64_t canary_key;
    bool wiped; /* closed, but for memory that the kernel would not take back */
    struct ref_alloc_config config;
    struct pool pool;
    struct metadata metadata;
    struct packed packed;
};

/* The heap to work on: for NULL the default heap, and in a forked child made the child's own. NULL and errno. */
struct ref_alloc_heap *heap_enter(struct ref_alloc_heap *heap);

/*
 * A span for either placement. What rests and what is empty is given back before it says no, in this heap and then
 * in all others of the process. false and errno.
 */
bool heap_acquire_span(struct ref_alloc_heap *heap, size_t pages, bool quarantined,
                       struct span **span);

#pragma GCC visibility pop

#endif
