/*
 * pool.h - spans of locked memory between guards, for both placements. layout.h has the picture.
 *
 * The life of a span (what the kernel says about its pages, and who counts them):
 *
 *     BLANK   inaccessible, not locked, not counted         <-- reserved address space
 *       |  build: read-write, locked, zero, counted             ^
 *       v                                                       | give back
 *     TAKEN --> LIVE  (one guarded secret) --> TAKEN            |
 *       |  \--> SLAB  (packed secrets)     --> TAKEN            |
 *       |  release: zero, inaccessible, still locked and counted|
 *       v                                                       |
 *     RESTING  in a queue, oldest first ------------------------+
 *       |
 *       +--> TAKEN again, by one permission change, once enough younger ones rest behind it
 *
 *     STUCK   a system call failed half way; still counted, unless the kernel never came to lock any of it.
 *             Every growth tries again to give it back.
 *
 *     locked bytes  =  sum of the lengths of all spans that are counted
 *
 * A resting span is at once the quarantine and the stock of ready spans. When a limit is reached the oldest of
 * any length are given back before the answer is no, so that resting spans never crowd out living secrets.
 * Spans longer than LAYOUT_MAX_POOLED_PAGES are given back at once; only their addresses rest.
 *
 * No lock is held over a system call: a span that is worked upon is in no queue.
 */
#ifndef POOL_H
#define POOL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "directory.h"
#include "layout.h"
#include "lock.h"
#include "metadata.h"
#include "quota.h"

#pragma GCC visibility push(hidden)

enum span_state { SPAN_BLANK, SPAN_TAKEN, SPAN_LIVE, SPAN_SLAB, SPAN_RESTING, SPAN_STUCK };

struct chunk;
struct slot;

/* What packed.c knows about a span that is a slab. It is here so that it shares cache lines. */
struct slab {
    uint64_t summary;     /* which of the free words are not zero */
    uint64_t *free_words; /* which slots are free */
    struct slot *slots;
    uint16_t free_count;
    uint16_t cursor;   /* the slot after the one handed out last */
    uint16_t capacity; /* slots that there is room for in the two tables */
    uint8_t slot_class;
    uint8_t shard;
};

#define SLAB_FEW_WORDS 2

/* The first line is all that most calls need to look at. */
struct span {
    struct chunk *chunk;
    unsigned char *data;
    _Atomic uint32_t state;
    uint8_t access;     /* of the data pages: enum os_access, or unknown */
    uint8_t align_log2; /* LIVE: what was asked for */
    bool soiled;        /* STUCK: may still hold secret bytes */
    bool counted;       /* by the quota */
    bool charged;       /* perhaps by the kernel: set before it locks, cleared when unbuilt */
    struct slab slab;
    size_t size_bytes; /* LIVE: what was asked for */

    struct span *older, *younger; /* in the one queue that holds it */
    uint64_t stamp; /* when it began to rest: which of several queues has the oldest */
    uint64_t few_words[SLAB_FEW_WORDS]; /* the free words of a slab that needs no more */
} __attribute__((aligned(128)));        /* the processor fetches lines in pairs */

struct chunk {
    struct chunk *next;  /* all chunks of the heap */
    unsigned char *base; /* NULL once it was unmapped */
    unsigned char *map;
    size_t map_bytes;
    uint32_t generation;
    struct layout_chunk layout;
    struct span spans[];
};

struct span_queue {
    struct span *oldest, *youngest;
    size_t length;
};

struct pool_policy {
    size_t page_bytes;
    size_t budget_bytes;
    size_t quarantine_spans;
    bool allow_core_dump;
    bool absent_in_child;
    bool secret_memory;
};

/* What a forked child starts anew. Queue 0 is that of the spans too long to be pooled. */
struct pool_lists {
    struct lock lock;
    struct span_queue blank[LAYOUT_MAX_POOLED_PAGES + 1];
    struct span_queue resting[LAYOUT_MAX_POOLED_PAGES + 1];
    struct span_queue stuck;
    struct span_queue unmapped; /* long spans without addresses: their descriptors are used again */
    uint64_t stamp;
};

struct pool {
    struct pool_policy policy;
    struct pool_lists lists;
    struct chunk *_Atomic chunks;
    uint32_t generation; /* how many forks away from the process that opened the heap */
    struct quota *quota;
    struct metadata *metadata;
    struct directory directory;
};

/* `quota` lies in memory that is cleared in a forked child. false and errno. */
bool pool_open(struct pool *pool, const struct pool_policy *policy, struct quota *quota,
               struct metadata *metadata);

/*
 * A span that is read-write, locked, zero and TAKEN. false and errno, as ref_alloc_allocate has it.
 * `quarantined`: none that was released only now. At least quarantine_spans / pages, and one, stay at rest.
 */
bool pool_acquire(struct pool *pool, size_t pages, bool quarantined, struct span **span);

/* Gives the span that has rested longest back to the kernel, and its bytes to the quota. false: there is none. */
bool pool_give_back_oldest(struct pool *pool);

/* Whether the heap's own budget has room for so many pages more. */
bool pool_is_within_budget(struct pool *pool, size_t pages);

/* Takes back a TAKEN span. The caller has wiped it, unless it was not able to and says so by `soiled`. */
void pool_release(struct pool *pool, struct span *span);

/* The span that holds this address, or whose secret of no bytes starts there; else NULL. No lock is taken. */
struct span *pool_find(const struct pool *pool, const void *address);

/* Whether the span belongs to a parent process; then nothing but its address means anything here. */
static inline bool pool_is_inherited(const struct pool *pool, const struct span *span)
{
    return span->chunk->generation != pool->generation;
}

/* Whether a chunk is mapped, and by this process. */
static inline bool pool_owns(const struct pool *pool, const struct chunk *chunk)
{
    return chunk->base != NULL && chunk->generation == pool->generation;
}

static inline size_t span_bytes(const struct span *span)
{
    return span->chunk->layout.span_pages * span->chunk->layout.page_bytes;
}

static inline uint32_t span_state(const struct span *span)
{
    return atomic_load_explicit(&span->state, memory_order_acquire);
}

static inline void span_set_state(struct span *span, enum span_state state)
{
    atomic_store_explicit(&span->state, (uint32_t)state, memory_order_release);
}

/* The right-hand side of the equation above, of one chunk. */
static inline size_t chunk_locked_bytes(const struct chunk *chunk)
{
    size_t sum_bytes = 0;
    for (size_t i = 0; i < chunk->layout.span_count; i++)
        if (chunk->spans[i].counted)
            sum_bytes += span_bytes(&chunk->spans[i]);
    return sum_bytes;
}

/* In a forked child, before anything else there: all spans are the parent's. */
void pool_adopt(struct pool *pool);

/* Overwrites every byte that any secret may be in. false and errno: some page could not be written to. */
bool pool_wipe_all(struct pool *pool);

/* Unmaps everything, wiped before. false and errno: call again. */
bool pool_close(struct pool *pool);

#pragma GCC visibility pop

#endif
