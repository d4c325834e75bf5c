/*
 * validate.c - the invariants of a heap, all of them, looked at one by one.
 *
 *     pool      each queue is whole and holds spans of one state     locked bytes = sum of what is not BLANK
 *     guarded   the canary of each living secret                     live counts = what was found
 *     packed    slab.h's equations for each slot                     each slab is in the one list it belongs to
 *
 * No lock is taken: no other thread may be inside ref-alloc meanwhile.
 */
#include "guarded.h"
#include "heap.h"
#include "slab.h"

/* What the walk over all spans has found. */
struct census {
    size_t guarded_secrets, guarded_bytes;
    size_t packed_secrets[PACKED_SHARDS], packed_bytes[PACKED_SHARDS];
    size_t locked_bytes;
};

/* ---- the pool's queues ---- */

static bool validate_queue(const struct span_queue *queue, size_t pages, enum span_state state)
{
    size_t length = 0;
    const struct span *older = NULL;
    for (const struct span *span = queue->oldest; span != NULL;
         older = span, span = span->younger, length++)
        if (span->older != older || span_state(span) != (uint32_t)state ||
            (pages != 0 && span->chunk->layout.span_pages != pages))
            return false;
    return queue->youngest == older && queue->length == length;
}

static bool validate_queues(const struct pool_lists *lists)
{
    bool valid = validate_queue(&lists->stuck, 0, SPAN_STUCK) &&
                 validate_queue(&lists->unmapped, 0, SPAN_BLANK);
    for (size_t pages = 0; pages <= LAYOUT_MAX_POOLED_PAGES; pages++)
        valid = valid && validate_queue(&lists->blank[pages], pages, SPAN_BLANK) &&
                validate_queue(&lists->resting[pages], pages, SPAN_RESTING);
    return valid;
}

/* ---- a slab ---- */

static bool validate_free_slot(unsigned char *start, size_t slot_bytes)
{
    ANNOTATE_OPEN(start, slot_bytes);
    bool zero = slot_is_zero(start, slot_bytes);
    ANNOTATE_CLOSED(start, slot_bytes);
    return zero;
}

static bool validate_slot(const struct ref_alloc_heap *heap, const struct span *span,
                          uint32_t index, struct census *census)
{
    const struct slab *slab = &span->slab;
    const struct slot *slot = &slab->slots[index];
    size_t slot_bytes = slab_layout(heap, span)->slot_bytes;
    unsigned char *start = span->data + index * slot_bytes;
    bool is_free = slab->free_words[index / WORD_BITS] >> index % WORD_BITS & 1;
    if (is_free == (slot->live != 0))
        return false;
    if (is_free)
        return validate_free_slot(start, slot_bytes);
    census->packed_secrets[slab->shard]++;
    census->packed_bytes[slab->shard] += slot->size_bytes;
    return slot_canary_intact(heap, span, index);
}

static bool is_queued(const struct span_queue *queue, const struct span *span)
{
    for (const struct span *other = queue->oldest; other != NULL; other = other->younger)
        if (other == span)
            return true;
    return false;
}

static bool validate_slab(const struct ref_alloc_heap *heap, const struct span *span,
                          struct census *census)
{
    const struct slab *slab = &span->slab;
    const struct packed_class *list = &heap->packed.shards[slab->shard].classes[slab->slot_class];
    uint32_t free_count = 0, slot_count = slab_layout(heap, span)->slot_count;
    for (uint32_t index = 0; index < slot_count; index++) {
        if (!validate_slot(heap, span, index, census))
            return false;
        free_count += slab->slots[index].live == 0;
    }
    for (size_t word = 0; word < slab_words(slot_count); word++)
        if ((slab->free_words[word] != 0) != (slab->summary >> word & 1))
            return false;
    bool empty = free_count == slot_count, partial = free_count != 0 && !empty;
    return free_count == slab->free_count && empty == (list->empty == span) &&
           partial == is_queued(&list->partial, span);
}

/* ---- all spans, and the sums ---- */

static bool validate_span(const struct ref_alloc_heap *heap, const struct span *span,
                          struct census *census)
{
    if (span_state(span) == SPAN_SLAB)
        return validate_slab(heap, span, census);
    if (span_state(span) != SPAN_LIVE)
        return true;
    census->guarded_secrets++;
    census->guarded_bytes += span->size_bytes;
    return span->access == OS_NONE || guarded_check_canary(heap, span) == NULL;
}

static bool validate_spans(const struct ref_alloc_heap *heap, struct census *census)
{
    for (struct chunk *chunk = atomic_load(&heap->pool.chunks); chunk != NULL;
         chunk = chunk->next) {
        if (!pool_owns(&heap->pool, chunk))
            continue;
        census->locked_bytes += chunk_locked_bytes(chunk);
        for (size_t i = 0; i < chunk->layout.span_count; i++)
            if (!validate_span(heap, &chunk->spans[i], census))
                return false;
    }
    return true;
}

static bool validate_sums(const struct ref_alloc_heap *heap, const struct census *census)
{
    bool equal = census->locked_bytes == atomic_load(&heap->forked->quota.locked_bytes) &&
                 census->guarded_secrets == atomic_load(&heap->forked->guarded_secrets) &&
                 census->guarded_bytes == atomic_load(&heap->forked->guarded_bytes);
    for (size_t i = 0; i < PACKED_SHARDS; i++)
        equal = equal && census->packed_secrets[i] == heap->packed.shards[i].live_secrets &&
                census->packed_bytes[i] == heap->packed.shards[i].live_bytes;
    return equal;
}

bool ref_alloc_validate(struct ref_alloc_heap *heap)
{
    struct census census = {0};
    heap = heap_enter(heap);
    return heap != NULL && validate_queues(&heap->pool.lists) && validate_spans(heap, &census) &&
           validate_sums(heap, &census);
}
