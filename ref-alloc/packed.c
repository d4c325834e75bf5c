/* packed.c - see packed.h. */
#include "packed.h"

#include <errno.h>
#include <string.h>

#include "annotate.h"
#include "heap.h"
#include "os.h"
#include "queue.h"
#include "slab.h"
#include "wipe.h"

/* ---- the lists of a class: the lock of the shard is held ---- */

/* After the first slot of an empty slab was taken, or the last of a partial one. */
static inline void list_after_take(struct packed_class *list, struct span *span, bool was_empty)
{
    if (was_empty)
        queue_push(&list->partial, span); /* not full yet: a slab has two slots at least */
    else if (span->slab.free_count == 0)
        queue_remove(&list->partial, span);
    if (list->empty == span)
        list->empty = NULL;
}

/* After a slot came back. A slab that became empty beside another empty one is surplus: true. */
static inline bool list_after_give(struct packed_class *list, struct span *span,
                                   uint32_t slot_count)
{
    bool was_full = span->slab.free_count == 1;
    bool is_empty =
        span->slab.free_count == slot_count; /* not both: a slab has two slots at least */
    if (was_full)
        queue_push(&list->partial, span);
    if (!is_empty)
        return false;
    queue_remove(&list->partial, span);
    if (list->empty != NULL)
        return true;
    list->empty = span;
    return false;
}

/* ---- taking a slot ---- */

struct taken {
    struct span *span;
    uint32_t index;
};

static inline struct taken take_slot(struct packed *packed, struct packed_shard *shard,
                                     struct span *span, const struct packed_request *request,
                                     bool was_empty)
{
    struct slab *slab = &span->slab;
    uint32_t index = slab_next_free(slab);
    slab_mark_used(slab, index);
    slab->cursor =
        index + 1 < packed->slots[request->slot_class].slot_count ? (uint16_t)(index + 1) : 0;
    slab->slots[index] = (struct slot){
        .size_bytes = (uint16_t)request->size_bytes,
        .align_log2 = (uint8_t)__builtin_ctzl((unsigned long)request->align_bytes),
        .live = 1,
    };
    shard->live_secrets++;
    shard->live_bytes += request->size_bytes;
    list_after_take(&shard->classes[request->slot_class], span, was_empty);
    return (struct taken){span, index};
}

/* From `fresh`, which nobody else knows yet; if NULL from a partial slab, else from the empty one. */
static inline struct taken take_from_shard(struct packed *packed, struct packed_shard *shard,
                                           struct span *fresh, const struct packed_request *request)
{
    struct taken taken = {NULL, 0};
    struct packed_class *list = &shard->classes[request->slot_class];
    lock_take(&shard->lock);
    struct span *partial = fresh == NULL ? list->partial.oldest : NULL;
    struct span *empty = fresh == NULL ? list->empty : fresh;
    struct span *span = partial != NULL ? partial : empty;
    if (__builtin_expect(span != NULL, 1))
        taken = take_slot(packed, shard, span, request, partial == NULL);
    lock_give(&shard->lock);
    return taken;
}

static struct taken take_from_any(struct packed *packed, const struct packed_request *request)
{
    struct taken taken = {NULL, 0};
    for (size_t i = 0; i < PACKED_SHARDS && taken.span == NULL; i++)
        taken = take_from_shard(packed, &packed->shards[i], NULL, request);
    return taken;
}

/* Tables for the slots of the smallest class that this span has held so far. They stay with the span. */
static bool make_tables(struct ref_alloc_heap *heap, struct span *span, uint32_t slot_count)
{
    struct slab *slab = &span->slab;
    if (slab->capacity >= slot_count)
        return true;
    size_t words = slab_words(slot_count);
    size_t words_bytes = words <= SLAB_FEW_WORDS ? 0 : words * sizeof(uint64_t);
    unsigned char *piece =
        metadata_take(&heap->metadata, words_bytes + slot_count * sizeof(struct slot));
    if (piece == NULL)
        return false;
    slab->free_words = words_bytes == 0 ? span->few_words : (uint64_t *)(void *)piece;
    slab->slots = (struct slot *)(void *)(piece + words_bytes);
    slab->capacity = (uint16_t)slot_count;
    return true;
}

static struct span *make_slab(struct ref_alloc_heap *heap, unsigned shard, unsigned slot_class)
{
    struct span *span;
    uint32_t slot_count = heap->packed.slots[slot_class].slot_count;
    if (!heap_acquire_span(heap, 1, false, &span))
        return NULL;
    if (!make_tables(heap, span, slot_count)) {
        int saved = errno;
        pool_release(&heap->pool, span);
        errno = saved;
        return NULL;
    }
    struct slab *slab = &span->slab;
    slab->slot_class = (uint8_t)slot_class;
    slab->shard = (uint8_t)shard;
    slab->cursor = 0;
    slab->free_count = 0;
    slab->summary = 0;
    memset(slab->slots, 0, slot_count * sizeof(struct slot));
    memset(slab->free_words, 0, slab_words(slot_count) * sizeof(uint64_t));
    for (uint32_t index = 0; index < slot_count; index++)
        slab_mark_free(slab, index);
    ANNOTATE_CLOSED(span->data, span_bytes(span));
    span_set_state(span, SPAN_SLAB);
    return span;
}

/* A slot of a new slab, else of another thread's. */
static struct taken take_slowly(struct ref_alloc_heap *heap, unsigned shard,
                                const struct packed_request *request)
{
    struct span *fresh = make_slab(heap, shard, request->slot_class);
    if (fresh == NULL)
        return take_from_any(&heap->packed, request);
    return take_from_shard(&heap->packed, &heap->packed.shards[shard], fresh, request);
}

/* Threads are numbered in the order in which they first come here. */
static unsigned my_shard(void)
{
    static _Atomic unsigned threads;
    static _Thread_local unsigned number;
    if (__builtin_expect(number == 0, 0))
        number = atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) % PACKED_SHARDS + 1;
    return number - 1;
}

static const char *return_slot(struct ref_alloc_heap *heap, struct span *span, uint32_t index);

/* The slot was zero when it was freed. If it isn't now, somebody used a stale pointer. */
static const char *reject_written(struct ref_alloc_heap *heap, struct taken taken)
{
    struct span *span = taken.span;
    size_t slot_bytes = slab_layout(heap, span)->slot_bytes;
    unsigned char *start = span->data + taken.index * slot_bytes;
    lock_take(&heap->packed.shards[span->slab.shard].lock);
    wipe_bytes(start, slot_bytes);
    slot_surround(heap, start, span->slab.slots[taken.index].size_bytes, slot_bytes);
    ANNOTATE_BORN(heap, start, span->slab.slots[taken.index].size_bytes);
    return_slot(heap, span, taken.index);
    return REF_ALLOC_FATAL_WRITE_AFTER_FREE;
}

void *packed_allocate(struct ref_alloc_heap *heap, const struct packed_request *request,
                      const char **message)
{
    unsigned shard = my_shard();
    struct taken taken = take_from_shard(&heap->packed, &heap->packed.shards[shard], NULL, request);
    if (__builtin_expect(taken.span == NULL, 0)) {
        taken = take_slowly(heap, shard, request);
        if (taken.span == NULL)
            return NULL;
    }
    size_t slot_bytes = heap->packed.slots[request->slot_class].slot_bytes;
    unsigned char *start = taken.span->data + taken.index * slot_bytes;
    ANNOTATE_OPEN(start, slot_bytes);
    if (__builtin_expect(!slot_is_zero(start, slot_bytes), 0)) {
        *message = reject_written(heap, taken);
        return NULL;
    }
    slot_surround(heap, start, request->size_bytes, slot_bytes);
    ANNOTATE_BORN(heap, start, request->size_bytes);
    return start;
}

/* ---- judging a pointer, and giving a slot back ---- */

/*
 * Takes the lock of the shard that the slab belongs to, if `secret` is the start of a living secret in it.
 * The shard is read before it is locked; a slab with a living secret never moves to another, and for any other
 * pointer the second look says so.
 */
static inline const char *lock_slot(struct ref_alloc_heap *heap, struct span *span,
                                    const void *secret, uint32_t *index)
{
    const char *message = NULL;
    unsigned shard_index = span->slab.shard;
    struct lock *lock = &heap->packed.shards[shard_index].lock;
    lock_take(lock);
    if (span_state(span) != SPAN_SLAB || span->slab.shard != shard_index ||
        !slab_slot_at(heap, span, secret, index))
        message = REF_ALLOC_FATAL_BAD_POINTER;
    else if (!span->slab.slots[*index].live)
        message = REF_ALLOC_FATAL_DOUBLE_FREE;
    if (__builtin_expect(message != NULL, 0))
        lock_give(lock);
    return message;
}

static void unlock_slot(struct ref_alloc_heap *heap, const struct span *span)
{
    lock_give(&heap->packed.shards[span->slab.shard].lock);
}

/* The page goes back zero, whatever was written to its free slots through stale pointers. */
static void give_up_slab(struct ref_alloc_heap *heap, struct span *span)
{
    ANNOTATE_OPEN(span->data, span_bytes(span));
    wipe_bytes(span->data, span_bytes(span));
    ANNOTATE_CLOSED(span->data, span_bytes(span));
    int saved = errno;
    pool_release(&heap->pool, span);
    errno = saved;
}

/* Gives the lock as well. */
static const char *return_slot(struct ref_alloc_heap *heap, struct span *span, uint32_t index)
{
    const struct layout_slots *layout = slab_layout(heap, span);
    struct packed_shard *shard = &heap->packed.shards[span->slab.shard];
    struct slot *slot = &span->slab.slots[index];
    unsigned char *start = span->data + (size_t)index * layout->slot_bytes;
    bool intact = slot_canary_intact(heap, span, index);
    ANNOTATE_OPEN(start, layout->slot_bytes);
    wipe_bytes(start, layout->slot_bytes);
    ANNOTATE_CLOSED(start, layout->slot_bytes);
    ANNOTATE_FREED(heap, start);
    shard->live_secrets--;
    shard->live_bytes -= slot->size_bytes;
    slot->live = 0;
    slab_mark_free(&span->slab, index);
    bool surplus =
        list_after_give(&shard->classes[span->slab.slot_class], span, layout->slot_count);
    if (surplus)
        span_set_state(span, SPAN_TAKEN);
    lock_give(&shard->lock);
    if (__builtin_expect(surplus, 0))
        give_up_slab(heap, span);
    return intact ? NULL : REF_ALLOC_FATAL_OVERRUN;
}

const char *packed_free(struct ref_alloc_heap *heap, struct span *span, void *secret)
{
    uint32_t index;
    const char *message = lock_slot(heap, span, secret, &index);
    return message != NULL ? message : return_slot(heap, span, index);
}

const char *packed_size(struct ref_alloc_heap *heap, struct span *span, const void *secret,
                        size_t *size_bytes, size_t *align_bytes)
{
    uint32_t index;
    const char *message = lock_slot(heap, span, secret, &index);
    if (message != NULL)
        return message;
    *size_bytes = span->slab.slots[index].size_bytes;
    *align_bytes = (size_t)1 << span->slab.slots[index].align_log2;
    unlock_slot(heap, span);
    return NULL;
}

static bool resize_in_slot(struct ref_alloc_heap *heap, struct span *span, uint32_t index,
                           size_t new_size_bytes)
{
    struct slot *slot = &span->slab.slots[index];
    size_t slot_bytes = slab_layout(heap, span)->slot_bytes, old_size_bytes = slot->size_bytes;
    unsigned char *start = span->data + index * slot_bytes;
    if (new_size_bytes > slot_bytes || slot_bytes - new_size_bytes < heap->packed.canary_bytes)
        return false;
    size_t kept_bytes = old_size_bytes < new_size_bytes ? old_size_bytes : new_size_bytes;
    ANNOTATE_OPEN(start + old_size_bytes, slot_bytes - old_size_bytes);
    wipe_bytes(start + kept_bytes, slot_bytes - kept_bytes);
    slot_surround(heap, start, new_size_bytes, slot_bytes);
    ANNOTATE_RESIZED(heap, start, start, old_size_bytes, new_size_bytes);
    heap->packed.shards[span->slab.shard].live_bytes += new_size_bytes - old_size_bytes;
    slot->size_bytes = (uint16_t)new_size_bytes;
    return true;
}

const char *packed_resize(struct ref_alloc_heap *heap, struct span *span, void *secret,
                          size_t new_size_bytes, bool *done)
{
    uint32_t index;
    const char *message = lock_slot(heap, span, secret, &index);
    if (message != NULL)
        return message;
    if (!slot_canary_intact(heap, span, index))
        return return_slot(heap, span, index);
    *done = resize_in_slot(heap, span, index, new_size_bytes);
    unlock_slot(heap, span);
    return NULL;
}

/* ---- the whole placement ---- */

void packed_open(struct packed *packed, size_t page_bytes, bool without_canary)
{
    packed->page_bytes = page_bytes;
    packed->canary_bytes = without_canary ? 0 : LAYOUT_MIN_CANARY_BYTES;
    packed->largest_bytes = page_bytes / 2 - packed->canary_bytes;
    for (unsigned i = 0; i < LAYOUT_SLOT_CLASSES; i++)
        packed->slots[i] = layout_slots(page_bytes, i);
}

void packed_adopt(struct packed *packed)
{
    memset(packed->shards, 0, sizeof(packed->shards));
}

static struct span *detach_empty(struct packed_shard *shard, unsigned slot_class)
{
    lock_take(&shard->lock);
    struct span *span = shard->classes[slot_class].empty;
    shard->classes[slot_class].empty = NULL;
    if (span != NULL)
        span_set_state(span, SPAN_TAKEN);
    lock_give(&shard->lock);
    return span;
}

bool packed_surrender_empty(struct ref_alloc_heap *heap)
{
    for (size_t i = 0; i < PACKED_SHARDS; i++) {
        for (unsigned slot_class = 0; slot_class < LAYOUT_SLOT_CLASSES; slot_class++) {
            struct span *span = detach_empty(&heap->packed.shards[i], slot_class);
            if (span != NULL) {
                give_up_slab(heap, span);
                return true;
            }
        }
    }
    return false;
}

void packed_count(struct ref_alloc_heap *heap, size_t *live_secrets, size_t *live_bytes)
{
    *live_secrets = *live_bytes = 0;
    for (size_t i = 0; i < PACKED_SHARDS; i++) {
        struct packed_shard *shard = &heap->packed.shards[i];
        lock_take(&shard->lock);
        *live_secrets += shard->live_secrets;
        *live_bytes += shard->live_bytes;
        lock_give(&shard->lock);
    }
}
