/* packed.c - see packed.h. */
#include "packed.h"

#include <errno.h>
#include <string.h>

#include "annotate.h"
#include "canary.h"
#include "heap.h"
#include "os.h"
#include "wipe.h"

#define WORD_BITS 64U

struct slot {
    uint16_t size_bytes;
    uint8_t align_log2;
    uint8_t live;
};

struct slab {
    struct slab *previous, *next; /* in the list of partial slabs */
    struct span *span;
    unsigned char *data;
    uint64_t *free_words;
    struct slot *slots;
    uint64_t summary;
    struct layout_slots layout;
    uint32_t free_count;
    uint32_t cursor;   /* the slot after the one handed out last */
    uint32_t capacity; /* slots that there is room for in the records */
    uint8_t slot_class;
    uint8_t shard;
};

/* ---- one slab: the lock of its shard is held ---- */

static void mark_free(struct slab *slab, uint32_t index)
{
    slab->free_words[index / WORD_BITS] |= UINT64_C(1) << index % WORD_BITS;
    slab->summary |= UINT64_C(1) << index / WORD_BITS;
    slab->free_count++;
}

static void mark_used(struct slab *slab, uint32_t index)
{
    uint64_t *word = &slab->free_words[index / WORD_BITS];
    *word &= ~(UINT64_C(1) << index % WORD_BITS);
    if (*word == 0)
        slab->summary &= ~(UINT64_C(1) << index / WORD_BITS);
    slab->free_count--;
}

/* The first free slot at or after the cursor, else the first of all. There is one. */
static uint32_t next_free(const struct slab *slab)
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

static unsigned char *slot_start(const struct slab *slab, uint32_t index)
{
    return slab->data + (size_t)index * slab->layout.slot_bytes;
}

/* false: the address is not where a slot starts. */
static bool slot_at(const struct slab *slab, const void *address, uint32_t *index)
{
    uintptr_t offset = (uintptr_t)address - (uintptr_t)slab->data;
    *index = layout_divide((uint32_t)offset, slab->layout.reciprocal);
    return *index < slab->layout.slot_count && *index * slab->layout.slot_bytes == offset;
}

static bool slot_canary_intact(const struct ref_alloc_heap *heap, const struct slab *slab,
                               uint32_t index)
{
    unsigned char *start = slot_start(slab, index);
    if (heap->packed.canary_bytes == 0)
        return true;
    ANNOTATE_OPEN(start, slab->layout.slot_bytes);
    return canary_intact(start + slab->slots[index].size_bytes, start + slab->layout.slot_bytes,
                         canary_word(heap->canary_key, start));
}

static void surround(const struct ref_alloc_heap *heap, unsigned char *start, size_t size_bytes,
                     size_t slot_bytes)
{
    if (heap->packed.canary_bytes != 0)
        canary_fill(start + size_bytes, start + slot_bytes, canary_word(heap->canary_key, start));
    ANNOTATE_SECRET(start, size_bytes);
    ANNOTATE_CLOSED(start + size_bytes, slot_bytes - size_bytes);
}

static bool is_zero(const unsigned char *start, size_t size_bytes)
{
    uint64_t sum = 0, word;
    for (; size_bytes >= sizeof(word); start += sizeof(word), size_bytes -= sizeof(word)) {
        memcpy(&word, start, sizeof(word));
        sum |= word;
    }
    return sum == 0; /* slots are multiples of 16 */
}

/* ---- the lists of a class: the lock of the shard is held ---- */

static void list_append(struct packed_class *list, struct slab *slab)
{
    slab->next = NULL;
    slab->previous = list->last;
    if (list->last != NULL)
        list->last->next = slab;
    else
        list->first = slab;
    list->last = slab;
}

static void list_remove(struct packed_class *list, struct slab *slab)
{
    if (slab->previous != NULL)
        slab->previous->next = slab->next;
    else
        list->first = slab->next;
    if (slab->next != NULL)
        slab->next->previous = slab->previous;
    else
        list->last = slab->previous;
}

/* After the first slot of an empty slab was taken, or the last of a partial one. */
static void list_after_take(struct packed_class *list, struct slab *slab, bool was_empty)
{
    bool full = slab->free_count == 0;
    if (was_empty) {
        if (list->empty == slab)
            list->empty = NULL;
        if (!full)
            list_append(list, slab);
    } else if (full) {
        list_remove(list, slab);
    }
}

/* After a slot came back. A slab that became empty beside another empty one is returned: to be given up. */
static struct slab *list_after_give(struct packed_class *list, struct slab *slab)
{
    bool was_full = slab->free_count == 1;
    bool empty = slab->free_count == slab->layout.slot_count;
    if (was_full && !empty)
        list_append(list, slab);
    if (!empty)
        return NULL;
    if (!was_full)
        list_remove(list, slab);
    if (list->empty != NULL)
        return slab;
    list->empty = slab;
    return NULL;
}

/* ---- taking a slot ---- */

struct request {
    size_t size_bytes;
    size_t align_bytes;
    unsigned slot_class;
};

static unsigned char *take_slot(struct packed_shard *shard, struct slab *slab,
                                const struct request *request, bool was_empty)
{
    uint32_t index = next_free(slab);
    mark_used(slab, index);
    slab->cursor = index + 1 < slab->layout.slot_count ? index + 1 : 0;
    slab->slots[index] = (struct slot){
        .size_bytes = (uint16_t)request->size_bytes,
        .align_log2 = (uint8_t)__builtin_ctzl((unsigned long)request->align_bytes),
        .live = 1,
    };
    shard->live_secrets++;
    shard->live_bytes += request->size_bytes;
    list_after_take(&shard->classes[request->slot_class], slab, was_empty);
    return slot_start(slab, index);
}

static unsigned char *take_from_shard(struct packed_shard *shard, const struct request *request)
{
    unsigned char *start = NULL;
    struct packed_class *list = &shard->classes[request->slot_class];
    lock_take(&shard->lock);
    if (list->first != NULL)
        start = take_slot(shard, list->first, request, false);
    else if (list->empty != NULL)
        start = take_slot(shard, list->empty, request, true);
    lock_give(&shard->lock);
    return start;
}

static unsigned char *take_from_any(struct packed *packed, const struct request *request)
{
    unsigned char *start = NULL;
    for (size_t i = 0; i < PACKED_SHARDS && start == NULL; i++)
        start = take_from_shard(&packed->shards[i], request);
    return start;
}

/* Records for the slots of the smallest class that this span has held so far. They stay with the span. */
static bool make_records(struct ref_alloc_heap *heap, struct span *span, struct layout_slots layout)
{
    if (span->slab != NULL && span->slab->capacity >= layout.slot_count)
        return true;
    size_t words = (layout.slot_count + WORD_BITS - 1) / WORD_BITS;
    size_t words_at = (sizeof(struct slab) + sizeof(uint64_t) - 1) & ~(sizeof(uint64_t) - 1);
    size_t slots_at = words_at + words * sizeof(uint64_t);
    unsigned char *piece =
        metadata_take(&heap->metadata, slots_at + layout.slot_count * sizeof(struct slot));
    if (piece == NULL)
        return false;
    struct slab *slab = (struct slab *)(void *)piece;
    slab->free_words = (uint64_t *)(void *)(piece + words_at);
    slab->slots = (struct slot *)(void *)(piece + slots_at);
    slab->capacity = layout.slot_count;
    span->slab = slab;
    return true;
}

static struct slab *make_slab(struct ref_alloc_heap *heap, unsigned shard, unsigned slot_class)
{
    struct span *span;
    struct layout_slots layout = heap->packed.slots[slot_class];
    if (!heap_acquire_span(heap, 1, &span))
        return NULL;
    if (!make_records(heap, span, layout)) {
        int saved = errno;
        pool_release(&heap->pool, span);
        errno = saved;
        return NULL;
    }
    struct slab *slab = span->slab;
    slab->span = span;
    slab->data = span->data;
    slab->layout = layout;
    slab->slot_class = (uint8_t)slot_class;
    slab->shard = (uint8_t)shard;
    slab->cursor = 0;
    slab->free_count = 0;
    slab->summary = 0;
    memset(slab->slots, 0, layout.slot_count * sizeof(struct slot));
    memset(slab->free_words, 0, (layout.slot_count + WORD_BITS - 1) / WORD_BITS * sizeof(uint64_t));
    for (uint32_t index = 0; index < layout.slot_count; index++)
        mark_free(slab, index);
    ANNOTATE_CLOSED(slab->data, span_bytes(span));
    span_set_state(span, SPAN_SLAB);
    return slab;
}

/* A slot of a new slab, which nobody else knows until this slot is taken. */
static unsigned char *take_from_new(struct ref_alloc_heap *heap, unsigned shard_index,
                                    const struct request *request)
{
    struct packed_shard *shard = &heap->packed.shards[shard_index];
    struct slab *slab = make_slab(heap, shard_index, request->slot_class);
    if (slab == NULL)
        return NULL;
    lock_take(&shard->lock);
    unsigned char *start = take_slot(shard, slab, request, true);
    lock_give(&shard->lock);
    return start;
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

static bool make_request(const struct ref_alloc_heap *heap, size_t size_bytes, size_t align_bytes,
                         struct request *request)
{
    *request = (struct request){.size_bytes = size_bytes, .align_bytes = align_bytes};
    return size_bytes < heap->page_bytes &&
           layout_slot_class(heap->page_bytes, size_bytes + heap->packed.canary_bytes, align_bytes,
                             &request->slot_class);
}

bool packed_fits(const struct ref_alloc_heap *heap, size_t size_bytes, size_t align_bytes)
{
    struct request request;
    return make_request(heap, size_bytes, align_bytes, &request);
}

static const char *return_slot(struct ref_alloc_heap *heap, struct slab *slab, uint32_t index);

/* The slot was zero when it was freed. If it isn't now, somebody used a stale pointer. */
static const char *reject_written(struct ref_alloc_heap *heap, unsigned char *start)
{
    uint32_t index;
    struct slab *slab = pool_find(&heap->pool, start)->slab;
    lock_take(&heap->packed.shards[slab->shard].lock);
    wipe_bytes(start, slab->layout.slot_bytes);
    slot_at(slab, start, &index);
    surround(heap, start, slab->slots[index].size_bytes, slab->layout.slot_bytes);
    return_slot(heap, slab, index);
    return REF_ALLOC_FATAL_WRITE_AFTER_FREE;
}

void *packed_allocate(struct ref_alloc_heap *heap, size_t size_bytes, size_t align_bytes,
                      const char **message)
{
    struct request request;
    unsigned shard = my_shard();
    make_request(heap, size_bytes, align_bytes, &request);
    unsigned char *start = take_from_shard(&heap->packed.shards[shard], &request);
    if (start == NULL)
        start = take_from_new(heap, shard, &request);
    if (start == NULL)
        start = take_from_any(&heap->packed, &request);
    if (start == NULL)
        return NULL;
    size_t slot_bytes = heap->packed.slots[request.slot_class].slot_bytes;
    ANNOTATE_OPEN(start, slot_bytes);
    if (!is_zero(start, slot_bytes)) {
        *message = reject_written(heap, start);
        return NULL;
    }
    surround(heap, start, size_bytes, slot_bytes);
    return start;
}

/* ---- judging a pointer, and giving a slot back ---- */

/*
 * Takes the lock of the shard that the slab belongs to, if `secret` is the start of a living secret in it.
 * The shard is read before it is locked; a slab with a living secret never moves to another, and for any other
 * pointer the second look says so.
 */
static const char *lock_slot(struct ref_alloc_heap *heap, struct span *span, const void *secret,
                             struct slab **slab, uint32_t *index)
{
    *slab = span->slab;
    unsigned shard_index = (*slab)->shard;
    struct lock *lock = &heap->packed.shards[shard_index].lock;
    lock_take(lock);
    const char *message = NULL;
    if (span_state(span) != SPAN_SLAB || (*slab)->shard != shard_index ||
        !slot_at(*slab, secret, index))
        message = REF_ALLOC_FATAL_BAD_POINTER;
    else if (!(*slab)->slots[*index].live)
        message = REF_ALLOC_FATAL_DOUBLE_FREE;
    if (message != NULL)
        lock_give(lock);
    return message;
}

/* The page goes back zero, whatever was written to its free slots through stale pointers. */
static void give_up_slab(struct ref_alloc_heap *heap, struct slab *slab)
{
    ANNOTATE_OPEN(slab->data, span_bytes(slab->span));
    wipe_bytes(slab->data, span_bytes(slab->span));
    ANNOTATE_CLOSED(slab->data, span_bytes(slab->span));
    pool_release(&heap->pool, slab->span);
}

/* Gives the lock as well. */
static const char *return_slot(struct ref_alloc_heap *heap, struct slab *slab, uint32_t index)
{
    struct packed_shard *shard = &heap->packed.shards[slab->shard];
    struct slot *slot = &slab->slots[index];
    unsigned char *start = slot_start(slab, index);
    bool intact = slot_canary_intact(heap, slab, index);
    ANNOTATE_OPEN(start, slab->layout.slot_bytes);
    wipe_bytes(start, slab->layout.slot_bytes);
    ANNOTATE_CLOSED(start, slab->layout.slot_bytes);
    shard->live_secrets--;
    shard->live_bytes -= slot->size_bytes;
    slot->live = 0;
    mark_free(slab, index);
    struct slab *surplus = list_after_give(&shard->classes[slab->slot_class], slab);
    if (surplus != NULL)
        span_set_state(surplus->span, SPAN_TAKEN);
    lock_give(&shard->lock);
    if (surplus != NULL)
        give_up_slab(heap, surplus);
    return intact ? NULL : REF_ALLOC_FATAL_OVERRUN;
}

const char *packed_free(struct ref_alloc_heap *heap, struct span *span, void *secret)
{
    struct slab *slab;
    uint32_t index;
    const char *message = lock_slot(heap, span, secret, &slab, &index);
    return message != NULL ? message : return_slot(heap, slab, index);
}

const char *packed_size(struct ref_alloc_heap *heap, struct span *span, const void *secret,
                        size_t *size_bytes, size_t *align_bytes)
{
    struct slab *slab;
    uint32_t index;
    const char *message = lock_slot(heap, span, secret, &slab, &index);
    if (message != NULL)
        return message;
    *size_bytes = slab->slots[index].size_bytes;
    *align_bytes = (size_t)1 << slab->slots[index].align_log2;
    lock_give(&heap->packed.shards[slab->shard].lock);
    return NULL;
}

static bool resize_in_slot(struct ref_alloc_heap *heap, struct slab *slab, uint32_t index,
                           size_t new_size_bytes)
{
    struct slot *slot = &slab->slots[index];
    unsigned char *start = slot_start(slab, index);
    size_t slot_bytes = slab->layout.slot_bytes, old_size_bytes = slot->size_bytes;
    if (new_size_bytes > slot_bytes || slot_bytes - new_size_bytes < heap->packed.canary_bytes)
        return false;
    size_t kept_bytes = old_size_bytes < new_size_bytes ? old_size_bytes : new_size_bytes;
    ANNOTATE_OPEN(start, slot_bytes);
    wipe_bytes(start + kept_bytes, slot_bytes - kept_bytes);
    surround(heap, start, new_size_bytes, slot_bytes);
    heap->packed.shards[slab->shard].live_bytes += new_size_bytes - old_size_bytes;
    slot->size_bytes = (uint16_t)new_size_bytes;
    return true;
}

const char *packed_resize(struct ref_alloc_heap *heap, struct span *span, void *secret,
                          size_t new_size_bytes, bool *done)
{
    struct slab *slab;
    uint32_t index;
    const char *message = lock_slot(heap, span, secret, &slab, &index);
    if (message != NULL)
        return message;
    if (!slot_canary_intact(heap, slab, index))
        return return_slot(heap, slab, index);
    *done = resize_in_slot(heap, slab, index, new_size_bytes);
    lock_give(&heap->packed.shards[slab->shard].lock);
    return NULL;
}

/* ---- the whole placement ---- */

void packed_open(struct packed *packed, size_t page_bytes, bool without_canary)
{
    packed->canary_bytes = without_canary ? 0 : LAYOUT_MIN_CANARY_BYTES;
    for (unsigned i = 0; i < LAYOUT_SLOT_CLASSES; i++)
        packed->slots[i] = layout_slots(page_bytes, i);
}

void packed_adopt(struct packed *packed)
{
    memset(packed->shards, 0, sizeof(packed->shards));
}

static struct slab *detach_empty(struct packed_shard *shard, unsigned slot_class)
{
    lock_take(&shard->lock);
    struct slab *slab = shard->classes[slot_class].empty;
    shard->classes[slot_class].empty = NULL;
    if (slab != NULL)
        span_set_state(slab->span, SPAN_TAKEN);
    lock_give(&shard->lock);
    return slab;
}

bool packed_surrender_empty(struct ref_alloc_heap *heap)
{
    for (size_t i = 0; i < PACKED_SHARDS; i++) {
        for (unsigned slot_class = 0; slot_class < LAYOUT_SLOT_CLASSES; slot_class++) {
            struct slab *slab = detach_empty(&heap->packed.shards[i], slot_class);
            if (slab != NULL) {
                give_up_slab(heap, slab);
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

struct census {
    size_t live_secrets[PACKED_SHARDS];
    size_t live_bytes[PACKED_SHARDS];
};

static bool validate_slot(const struct ref_alloc_heap *heap, const struct slab *slab,
                          uint32_t index, struct census *census)
{
    bool is_free = slab->free_words[index / WORD_BITS] >> index % WORD_BITS & 1;
    const struct slot *slot = &slab->slots[index];
    if (is_free == (slot->live != 0))
        return false;
    if (is_free) {
        ANNOTATE_OPEN(slot_start(slab, index), slab->layout.slot_bytes);
        bool zero = is_zero(slot_start(slab, index), slab->layout.slot_bytes);
        ANNOTATE_CLOSED(slot_start(slab, index), slab->layout.slot_bytes);
        return zero;
    }
    census->live_secrets[slab->shard]++;
    census->live_bytes[slab->shard] += slot->size_bytes;
    bool intact = slot_canary_intact(heap, slab, index);
    ANNOTATE_CLOSED(slot_start(slab, index) + slot->size_bytes,
                    slab->layout.slot_bytes - slot->size_bytes);
    return intact;
}

static bool is_listed(const struct packed_class *list, const struct slab *slab)
{
    for (const struct slab *other = list->first; other != NULL; other = other->next)
        if (other == slab)
            return true;
    return false;
}

static bool validate_slab(struct ref_alloc_heap *heap, const struct slab *slab,
                          struct census *census)
{
    const struct packed_class *list = &heap->packed.shards[slab->shard].classes[slab->slot_class];
    uint32_t free_count = 0;
    for (uint32_t index = 0; index < slab->layout.slot_count; index++) {
        if (!validate_slot(heap, slab, index, census))
            return false;
        free_count += slab->slots[index].live == 0;
    }
    for (uint32_t word = 0; word <= (slab->layout.slot_count - 1) / WORD_BITS; word++)
        if ((slab->free_words[word] != 0) != (slab->summary >> word & 1))
            return false;
    bool empty = free_count == slab->layout.slot_count, partial = free_count != 0 && !empty;
    return free_count == slab->free_count && empty == (list->empty == slab) &&
           partial == is_listed(list, slab);
}

bool packed_validate(struct ref_alloc_heap *heap)
{
    struct census census = {0};
    for (struct chunk *chunk = atomic_load(&heap->pool.chunks); chunk != NULL;
         chunk = chunk->next) {
        if (chunk->generation != heap->pool.generation)
            continue;
        for (size_t i = 0; i < chunk->layout.span_count; i++)
            if (span_state(&chunk->spans[i]) == SPAN_SLAB &&
                !validate_slab(heap, chunk->spans[i].slab, &census))
                return false;
    }
    for (size_t i = 0; i < PACKED_SHARDS; i++)
        if (census.live_secrets[i] != heap->packed.shards[i].live_secrets ||
            census.live_bytes[i] != heap->packed.shards[i].live_bytes)
            return false;
    return true;
}
