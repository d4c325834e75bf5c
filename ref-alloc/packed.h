/*
 * packed.h - the placement that puts many secrets into one locked page. layout.h has the picture.
 *
 * What is known about a slab lies elsewhere (struct slab, and the tables below, in metadata), out of reach of any
 * overrun:
 *
 *     free words    1 bit for each slot, set if free        summary   1 bit for each word that is not zero
 *     slot records  size, alignment and life of each slot
 *
 * so that finding a slot, and judging a pointer, take the same few steps whatever the number of secrets.
 *
 * Slabs belong to shards, each with a lock of its own. A thread allocates from one shard and frees to the one
 * that the slab belongs to, so threads that keep to their own secrets never meet.
 *
 *     shard --> class --> partial slabs, which have used and free slots: first in, first out
 *                    \--> at most one empty slab, kept so that a lone secret doesn't cost a system call
 *
 *     a slab is in `partial`  <=>  0 < free slots < all slots         full slabs are in no list
 *
 * Slots of a slab are handed out in turn, and slabs too: a freed address comes back as late as it can.
 */
#ifndef PACKED_H
#define PACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layout.h"
#include "lock.h"
#include "pool.h"

#pragma GCC visibility push(hidden)

#define PACKED_SHARDS 8 /* a power of two */

struct ref_alloc_heap;

struct slot {
    uint16_t size_bytes;
    uint8_t align_log2;
    uint8_t live;
};

struct packed_class {
    struct span_queue partial;
    struct span *empty;
};

struct packed_shard {
    struct lock lock;
    size_t live_secrets;
    size_t live_bytes;
    struct packed_class classes[LAYOUT_SLOT_CLASSES];
} __attribute__((aligned(128))); /* two cache lines: the processor fetches them in pairs */

struct packed {
    size_t page_bytes;
    size_t largest_bytes; /* no secret beyond this fits into a slot */
    size_t canary_bytes;  /* at least, of each slot */
    struct layout_slots slots[LAYOUT_SLOT_CLASSES];
    struct packed_shard shards[PACKED_SHARDS];
};

void packed_open(struct packed *packed, size_t page_bytes, bool without_canary);
/* In a forked child: no slab is the child's. */
void packed_adopt(struct packed *packed);

struct packed_request {
    size_t size_bytes;
    size_t align_bytes;
    unsigned slot_class;
};

/* false: there is no slot for this. */
static inline bool packed_request(const struct packed *packed, size_t size_bytes,
                                  size_t align_bytes, struct packed_request *request)
{
    size_t needed_bytes = size_bytes + packed->canary_bytes;
    request->size_bytes = size_bytes;
    request->align_bytes = align_bytes;
    if (size_bytes > packed->largest_bytes)
        return false;
    if (needed_bytes - 1 >= LAYOUT_SMALL_LIMIT_BYTES || align_bytes > LAYOUT_SLOT_STEP_BYTES)
        return layout_slot_class(packed->page_bytes, needed_bytes, align_bytes,
                                 &request->slot_class);
    request->slot_class = layout_small_class(needed_bytes);
    return true;
}

/* NULL and errno; or NULL and the message for `fatal`. */
void *packed_allocate(struct ref_alloc_heap *heap, const struct packed_request *request,
                      const char **message);
/* Each returns the message for `fatal`, or NULL. */
const char *packed_free(struct ref_alloc_heap *heap, struct span *span, void *secret);
const char *packed_size(struct ref_alloc_heap *heap, struct span *span, const void *secret,
                        size_t *size_bytes, size_t *align_bytes);
/* *done tells whether the slot had room. */
const char *packed_resize(struct ref_alloc_heap *heap, struct span *span, void *secret,
                          size_t new_size_bytes, bool *done);
/* Gives an empty slab back to the pool. false: there is none. */
bool packed_surrender_empty(struct ref_alloc_heap *heap);
void packed_count(struct ref_alloc_heap *heap, size_t *live_secrets, size_t *live_bytes);

#pragma GCC visibility pop

#endif
