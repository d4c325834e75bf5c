/*
 * slab.h - one slab: which of its slots are free, and what must be found in a slot. layout.h has the picture.
 *
 *     a slot is free  <=>  its bit in the free words is 1  <=>  its record is not live  =>  all its bytes are zero
 *     a slot is used   =>  size_bytes of secret, and behind them, to the end of the slot, its canary
 *
 * The lock of the slab's shard is held, but for what a slot holds: that is its owner's.
 */
#ifndef SLAB_H
#define SLAB_H

#include <string.h>

#include "annotate.h"
#include "canary.h"
#include "heap.h"

#define WORD_BITS 64U

static inline size_t slab_words(uint32_t slot_count)
{
    return (slot_count + WORD_BITS - 1) / WORD_BITS;
}

static inline void slab_mark_free(struct slab *slab, uint32_t index)
{
    slab->free_words[index / WORD_BITS] |= UINT64_C(1) << index % WORD_BITS;
    slab->summary |= UINT64_C(1) << index / WORD_BITS;
    slab->free_count++;
}

static inline void slab_mark_used(struct slab *slab, uint32_t index)
{
    uint64_t *word = &slab->free_words[index / WORD_BITS];
    *word &= ~(UINT64_C(1) << index % WORD_BITS);
    if (*word == 0)
        slab->summary &= ~(UINT64_C(1) << index / WORD_BITS);
    slab->free_count--;
}

/* The first free slot at or after the cursor, else the first of all. There is one. */
static inline uint32_t slab_next_free(const struct slab *slab)
{
    uint32_t word = slab->cursor / WORD_BITS;
    uint64_t bits = slab->free_words[word] & (~UINT64_C(0) << slab->cursor % WORD_BITS);
    if (bits == 0) {
        uint64_t later = slab->summary & ((~UINT64_C(0) << word) << 1);
        word = (uint32_t)__builtin_ctzll(later != 0 ? later : slab->summary);
        bits = slab->free_words[word];
    }
    return word * WORD_BITS + (uint32_t)__builtin_ctzll(bits);
}

static inline const struct layout_slots *slab_layout(const struct ref_alloc_heap *heap,
                                                     const struct span *span)
{
    return &heap->packed.slots[span->slab.slot_class];
}

/* false: the address is not where a slot starts. */
static inline bool slab_slot_at(const struct ref_alloc_heap *heap, const struct span *span,
                                const void *address, uint32_t *index)
{
    const struct layout_slots *layout = slab_layout(heap, span);
    uintptr_t offset = (uintptr_t)address - (uintptr_t)span->data;
    *index = layout_divide((uint32_t)offset, layout->reciprocal);
    return *index < layout->slot_count && *index * layout->slot_bytes == offset;
}

static inline bool slot_canary_intact(const struct ref_alloc_heap *heap, const struct span *span,
                                      uint32_t index)
{
    size_t slot_bytes = slab_layout(heap, span)->slot_bytes;
    unsigned char *start = span->data + index * slot_bytes;
    unsigned char *end = start + span->slab.slots[index].size_bytes, *limit = start + slot_bytes;
    if (heap->packed.canary_bytes == 0)
        return true;
    ANNOTATE_OPEN(end, (size_t)(limit - end));
    bool intact = canary_intact(end, limit, canary_word(heap->canary_key, start));
    ANNOTATE_CLOSED(end, (size_t)(limit - end));
    return intact;
}

static inline void slot_surround(const struct ref_alloc_heap *heap, unsigned char *start,
                                 size_t size_bytes, size_t slot_bytes)
{
    if (heap->packed.canary_bytes != 0)
        canary_fill(start + size_bytes, start + slot_bytes, canary_word(heap->canary_key, start));
    ANNOTATE_CLOSED(start + size_bytes, slot_bytes - size_bytes);
}

static inline bool slot_is_zero(const unsigned char *start, size_t size_bytes)
{
    uint64_t sum = 0, words[2];
    for (const unsigned char *end = start + size_bytes; start < end; start += sizeof(words)) {
        memcpy(words, start, sizeof(words));
        sum |= words[0] | words[1];
    }
    return sum == 0; /* slots are multiples of 16 */
}

#endif
