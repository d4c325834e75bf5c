/* pool.c - see pool.h for the life of a span. */
#include "pool.h"

#include <errno.h>

#include "annotate.h"
#include "os.h"
#include "queue.h"
#include "span.h"
#include "wipe.h"

/* ---- queues ---- */

static size_t queue_index(size_t pages)
{
    return pages <= LAYOUT_MAX_POOLED_PAGES ? pages : 0;
}

static bool is_pooled(const struct span *span)
{
    return queue_index(span->chunk->layout.span_pages) != 0;
}

static void push_locked(struct pool *pool, struct span_queue *queue, struct span *span,
                        enum span_state state)
{
    lock_take(&pool->lists.lock);
    span_set_state(span, state);
    span->stamp = ++pool->lists.stamp;
    queue_push(queue, span);
    lock_give(&pool->lists.lock);
}

/* The oldest, if more than `keep` are there. */
static struct span *pop_beyond(struct pool *pool, struct span_queue *queue, size_t keep)
{
    lock_take(&pool->lists.lock);
    struct span *span = queue->length > keep ? queue_pop(queue) : NULL;
    if (span != NULL)
        span_set_state(span, SPAN_TAKEN);
    lock_give(&pool->lists.lock);
    return span;
}

static struct span *pop_locked(struct pool *pool, struct span_queue *queue)
{
    return pop_beyond(pool, queue, 0);
}

static size_t length_of(struct pool *pool, const struct span_queue *queue)
{
    lock_take(&pool->lists.lock);
    size_t length = queue->length;
    lock_give(&pool->lists.lock);
    return length;
}

static void set_aside(struct pool *pool, struct span *span)
{
    push_locked(pool, &pool->lists.stuck, span, SPAN_STUCK);
}

static struct span_queue *blank_queue(struct pool *pool, const struct span *span)
{
    return &pool->lists.blank[queue_index(span->chunk->layout.span_pages)];
}

/* ---- giving back ---- */

/* Long spans keep their addresses until as many others were freed as rest in quarantine, then go for good. */
static void retire_long_spans(struct pool *pool)
{
    struct span *span;
    while ((span = pop_beyond(pool, &pool->lists.blank[0], pool->policy.quarantine_spans)) !=
           NULL) {
        struct chunk *chunk = span->chunk;
        directory_set(&pool->directory, chunk->base, NULL);
        ANNOTATE_OPEN(chunk->base, chunk->layout.size_bytes);
        if (!os_unmap(chunk->map, chunk->map_bytes)) {
            directory_set(&pool->directory, chunk->base, chunk);
            push_locked(pool, &pool->lists.blank[0], span, SPAN_BLANK);
            return;
        }
        chunk->base = NULL;
        push_locked(pool, &pool->lists.unmapped, span, SPAN_BLANK);
    }
}

static void stop_counting(struct pool *pool, struct span *span)
{
    if (span->counted)
        quota_give(pool->quota, span_bytes(span));
    span->counted = false;
}

/* errno is kept: this also cleans up behind a call that has failed. */
static bool give_back(struct pool *pool, struct span *span)
{
    int saved = errno;
    bool done = span_unbuild(pool, span);
    if (!span->charged)
        stop_counting(pool, span);
    if (done) {
        push_locked(pool, blank_queue(pool, span), span, SPAN_BLANK);
        if (!is_pooled(span))
            retire_long_spans(pool);
    } else {
        set_aside(pool, span);
    }
    errno = saved;
    return done;
}

static void retry_stuck(struct pool *pool)
{
    for (size_t tries = length_of(pool, &pool->lists.stuck); tries > 0; tries--) {
        struct span *span = pop_locked(pool, &pool->lists.stuck);
        if (span == NULL)
            return;
        give_back(pool, span);
    }
}

static struct span *pop_oldest_resting(struct pool *pool)
{
    struct span_queue *found = NULL;
    lock_take(&pool->lists.lock);
    for (size_t i = 1; i <= LAYOUT_MAX_POOLED_PAGES; i++) {
        struct span_queue *queue = &pool->lists.resting[i];
        if (queue->length != 0 && (found == NULL || queue->oldest->stamp < found->oldest->stamp))
            found = queue;
    }
    struct span *span = found == NULL ? NULL : queue_pop(found);
    if (span != NULL)
        span_set_state(span, SPAN_TAKEN);
    lock_give(&pool->lists.lock);
    return span;
}

bool pool_give_back_oldest(struct pool *pool)
{
    struct span *span;
    while ((span = pop_oldest_resting(pool)) != NULL)
        if (give_back(pool, span))
            return true;
    return false;
}

/* ---- chunks ---- */

static bool reserve_chunk(const struct pool *pool, const struct layout_chunk *layout,
                          struct chunk *chunk)
{
    size_t align_bytes = LAYOUT_CHUNK_PAGES * layout->page_bytes;
    chunk->layout = *layout;
    chunk->map_bytes = layout->size_bytes + align_bytes - layout->page_bytes;
    if (!os_reserve(chunk->map_bytes, &chunk->map))
        return false;
    uintptr_t start = ((uintptr_t)chunk->map + align_bytes - 1) & ~(uintptr_t)(align_bytes - 1);
    chunk->base = chunk->map + (start - (uintptr_t)chunk->map);
    if (span_advise(pool, chunk->base, layout->size_bytes))
        return true;
    int saved = errno;
    os_unmap(chunk->map, chunk->map_bytes);
    errno = saved;
    return false;
}

static struct chunk *take_descriptor(struct pool *pool, const struct layout_chunk *layout)
{
    struct span *span = layout->span_count == 1 ? pop_locked(pool, &pool->lists.unmapped) : NULL;
    if (span != NULL)
        return span->chunk;
    struct chunk *chunk =
        metadata_take(pool->metadata, sizeof(*chunk) + layout->span_count * sizeof(struct span));
    if (chunk == NULL)
        return NULL;
    lock_take(&pool->lists.lock);
    chunk->next = atomic_load(&pool->chunks);
    atomic_store(&pool->chunks, chunk);
    lock_give(&pool->lists.lock);
    return chunk;
}

static void describe(const struct pool *pool, struct chunk *chunk, const struct chunk *reserved)
{
    chunk->layout = reserved->layout;
    chunk->map = reserved->map;
    chunk->map_bytes = reserved->map_bytes;
    chunk->generation = pool->generation;
    chunk->base = reserved->base;
    for (size_t i = 0; i < chunk->layout.span_count; i++) {
        struct span *span = &chunk->spans[i];
        span->chunk = chunk;
        span->data = chunk->base + layout_span_offset(&chunk->layout, i);
        span->access = OS_NONE;
    }
}

static bool add_chunk(struct pool *pool, size_t pages, struct chunk **added)
{
    struct layout_chunk layout;
    struct chunk reserved = {0}, *chunk = NULL;
    layout_chunk(pool->policy.page_bytes, pages, &layout);
    if (!reserve_chunk(pool, &layout, &reserved))
        return false;
    if (directory_prepare(&pool->directory, reserved.base))
        chunk = take_descriptor(pool, &layout);
    if (chunk == NULL) {
        int saved = errno;
        os_unmap(reserved.map, reserved.map_bytes);
        errno = saved;
        return false;
    }
    describe(pool, chunk, &reserved);
    directory_set(&pool->directory, chunk->base, chunk);
    *added = chunk;
    return true;
}

/* The oldest blank span of this length, else the first of a new chunk, whose others become blank. */
static bool take_blank(struct pool *pool, size_t pages, struct span **span)
{
    struct chunk *chunk;
    if (queue_index(pages) != 0 && (*span = pop_locked(pool, &pool->lists.blank[pages])) != NULL)
        return true;
    if (!add_chunk(pool, pages, &chunk))
        return false;
    *span = &chunk->spans[0];
    span_set_state(*span, SPAN_TAKEN);
    for (size_t i = 1; i < chunk->layout.span_count; i++)
        push_locked(pool, &pool->lists.blank[pages], &chunk->spans[i], SPAN_BLANK);
    return true;
}

/* ---- acquire and release ---- */

/* Builds, giving back resting spans while the kernel refuses. On failure the span is back where it belongs. */
static bool build_or_give_back(struct pool *pool, struct span *span)
{
    while (!span_build(pool, span)) {
        int saved = errno;
        bool again = span_unbuild(pool, span) && pool_give_back_oldest(pool);
        errno = saved;
        if (!again) {
            give_back(pool, span);
            return false;
        }
    }
    return true;
}

/* Counts so many bytes more, giving back resting spans as long as there are too many. */
static bool make_room(struct pool *pool, size_t size_bytes)
{
    while (!quota_take(pool->quota, pool->policy.budget_bytes, size_bytes))
        if (errno != ENOMEM || !pool_give_back_oldest(pool))
            return false;
    return true;
}

static bool grow(struct pool *pool, size_t pages, struct span **span)
{
    size_t size_bytes = pages * pool->policy.page_bytes;
    if (!make_room(pool, size_bytes))
        return false;
    if (!take_blank(pool, pages, span)) {
        quota_give(pool->quota, size_bytes);
        return false;
    }
    (*span)->counted = true;
    return build_or_give_back(pool, *span);
}

/* The oldest resting span of this length, if more than `rests` rest. */
static struct span *take_rested(struct pool *pool, size_t pages, size_t rests)
{
    bool pooled = queue_index(pages) != 0;
    return pooled ? pop_beyond(pool, &pool->lists.resting[pages], rests) : NULL;
}

static void put_to_rest(struct pool *pool, struct span *span)
{
    size_t pages = span->chunk->layout.span_pages;
    push_locked(pool, &pool->lists.resting[pages], span, SPAN_RESTING);
}

/*
 * Fills the quarantine at once, when a span was added beside it, as far as the limit allows. Were it left to
 * fill with what is freed, then equal rounds of use would lock a little more each, until it is full.
 */
static void stock_up(struct pool *pool, size_t pages, size_t rests)
{
    struct span *span;
    size_t size_bytes = pages * pool->policy.page_bytes;
    int saved = errno;
    while (queue_index(pages) != 0 && length_of(pool, &pool->lists.resting[pages]) < rests &&
           quota_take(pool->quota, pool->policy.budget_bytes, size_bytes)) {
        if (!take_blank(pool, pages, &span)) {
            quota_give(pool->quota, size_bytes);
            break;
        }
        span->counted = true;
        if (!span_build(pool, span) || !span_protect(span, OS_NONE)) {
            give_back(pool, span);
            break;
        }
        put_to_rest(pool, span);
    }
    errno = saved;
}

/*
 * A rested span if there is one. At the limit one that has rested less will do, if at least another is younger:
 * else the memory moves to addresses that nobody remembers.
 */
static struct span *take_ready(struct pool *pool, size_t pages, size_t rests)
{
    struct span *span = take_rested(pool, pages, rests);
    if (span != NULL)
        return span;
    retry_stuck(pool);
    bool room = quota_has(pool->quota, pool->policy.budget_bytes, pages * pool->policy.page_bytes);
    return room ? NULL : take_rested(pool, pages, 1);
}

bool pool_is_within_budget(struct pool *pool, size_t pages)
{
    return quota_is_within_budget(pool->quota, pool->policy.budget_bytes,
                                  pages * pool->policy.page_bytes);
}

bool pool_acquire(struct pool *pool, size_t pages, bool quarantined, struct span **span)
{
    size_t rests = !quarantined ? 0 : pool->policy.quarantine_spans / pages;
    rests = quarantined && rests == 0 ? 1 : rests;
    *span = take_ready(pool, pages, rests);
    if (*span == NULL) {
        if (!grow(pool, pages, span))
            return false;
        stock_up(pool, pages, rests);
        return true;
    }
    if (span_protect(*span, OS_READ_WRITE))
        return true;
    set_aside(pool, *span);
    return false;
}

void pool_release(struct pool *pool, struct span *span)
{
    if (span->soiled || !span_protect(span, OS_NONE))
        set_aside(pool, span);
    else if (is_pooled(span))
        put_to_rest(pool, span);
    else
        give_back(pool, span);
}

struct span *pool_find(const struct pool *pool, const void *address)
{
    size_t index;
    struct chunk *chunk = directory_find(&pool->directory, address);
    if (chunk == NULL ||
        !layout_span_at(&chunk->layout, (uintptr_t)address - (uintptr_t)chunk->base, &index))
        return NULL;
    return &chunk->spans[index];
}

/* ---- the whole pool ---- */

bool pool_open(struct pool *pool, const struct pool_policy *policy, struct quota *quota,
               struct metadata *metadata)
{
    pool->policy = *policy;
    pool->quota = quota;
    pool->metadata = metadata;
    return directory_open(&pool->directory, metadata, policy->page_bytes);
}

void pool_adopt(struct pool *pool)
{
    pool->generation++;
    pool->lists = (struct pool_lists){0};
    /* Else a chunk of ours could come to lie there, and an inherited pointer would lead into it. */
    struct chunk *chunk = pool->policy.absent_in_child ? atomic_load(&pool->chunks) : NULL;
    for (; chunk != NULL; chunk = chunk->next)
        if (chunk->base != NULL)
            os_hold(chunk->base, chunk->layout.size_bytes);
}

static bool may_hold_secrets(const struct span *span)
{
    uint32_t state = span_state(span);
    return state == SPAN_LIVE || state == SPAN_SLAB || state == SPAN_TAKEN || state == SPAN_STUCK;
}

static bool wipe_span(struct span *span)
{
    if (!may_hold_secrets(span))
        return true;
    if (span->access != OS_READ_WRITE && !span_protect(span, OS_READ_WRITE))
        return false;
    ANNOTATE_OPEN(span->data, span_bytes(span));
    wipe_bytes(span->data, span_bytes(span));
    return true;
}

bool pool_wipe_all(struct pool *pool)
{
    bool wiped = true;
    for (struct chunk *chunk = atomic_load(&pool->chunks); chunk != NULL; chunk = chunk->next)
        for (size_t i = 0; pool_owns(pool, chunk) && i < chunk->layout.span_count; i++)
            wiped = wipe_span(&chunk->spans[i]) && wiped;
    return wiped;
}

/* A parent's chunk is here too, as zeros, unless it is absent: then its addresses may be somebody else's by now. */
static bool close_chunk(struct pool *pool, struct chunk *chunk)
{
    bool ours = pool_owns(pool, chunk);
    if (chunk->base == NULL || (!ours && pool->policy.absent_in_child))
        return true;
    ANNOTATE_OPEN(chunk->base, chunk->layout.size_bytes);
    if (!os_unmap(chunk->map, chunk->map_bytes))
        return false;
    if (ours)
        quota_give(pool->quota, chunk_locked_bytes(chunk));
    chunk->base = NULL;
    return true;
}

bool pool_close(struct pool *pool)
{
    for (struct chunk *chunk = atomic_load(&pool->chunks); chunk != NULL; chunk = chunk->next)
        if (!close_chunk(pool, chunk))
            return false;
    return true;
}
