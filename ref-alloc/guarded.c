/* guarded.c - see guarded.h. */
#include "guarded.h"

#include <errno.h>
#include <string.h>

#include "annotate.h"
#include "canary.h"
#include "os.h"
#include "span.h"
#include "wipe.h"

/* A secret in its span, as four borders:  data ..canary.. start ..secret.. end ..canary.. limit */
struct place {
    unsigned char *data, *start, *end, *limit;
};

static struct place place_in(const struct span *span, size_t size_bytes)
{
    struct layout_span layout = {0};
    layout_span(span->chunk->layout.page_bytes, size_bytes, (size_t)1 << span->align_log2, &layout);
    return (struct place){
        .data = span->data,
        .start = span->data + layout.start_bytes,
        .end = span->data + layout.start_bytes + size_bytes,
        .limit = span->data + span_bytes(span),
    };
}

static struct place place_of(const struct span *span)
{
    return place_in(span, span->size_bytes);
}

static void open_surroundings(struct place place)
{
    ANNOTATE_OPEN(place.data, (size_t)(place.start - place.data));
    ANNOTATE_OPEN(place.end, (size_t)(place.limit - place.end));
}

static void close_surroundings(struct place place)
{
    ANNOTATE_CLOSED(place.data, (size_t)(place.start - place.data));
    ANNOTATE_CLOSED(place.end, (size_t)(place.limit - place.end));
}

static void surround(const struct ref_alloc_heap *heap, struct place place)
{
    uint64_t word = canary_word(heap->canary_key, place.data);
    canary_fill(place.data, place.start, word);
    canary_fill(place.end, place.limit, word);
    close_surroundings(place);
}

void *guarded_allocate(struct ref_alloc_heap *heap, size_t size_bytes, size_t align_bytes)
{
    struct layout_span layout;
    struct span *span;
    if (!layout_span(heap->page_bytes, size_bytes, align_bytes, &layout)) {
        errno = ENOMEM;
        return NULL;
    }
    if (!heap_acquire_span(heap, layout.pages, true, &span))
        return NULL;
    span->size_bytes = size_bytes;
    span->align_log2 = (uint8_t)__builtin_ctzl((unsigned long)align_bytes);
    ANNOTATE_OPEN(span->data, span_bytes(span));
    surround(heap, place_of(span));
    ANNOTATE_BORN(heap, place_of(span).start, size_bytes);
    atomic_fetch_add_explicit(&heap->forked->guarded_secrets, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&heap->forked->guarded_bytes, size_bytes, memory_order_relaxed);
    span_set_state(span, SPAN_LIVE);
    return place_of(span).start;
}

const char *guarded_check_pointer(const struct span *span, const void *secret)
{
    if (secret != place_of(span).start)
        return REF_ALLOC_FATAL_BAD_POINTER;
    return span_state(span) == SPAN_LIVE ? NULL : REF_ALLOC_FATAL_DOUBLE_FREE;
}

const char *guarded_check_canary(const struct ref_alloc_heap *heap, const struct span *span)
{
    struct place place = place_of(span);
    uint64_t word = canary_word(heap->canary_key, place.data);
    const char *message = NULL;
    open_surroundings(place);
    if (!canary_intact(place.end, place.limit, word))
        message = REF_ALLOC_FATAL_OVERRUN;
    else if (!canary_intact(place.data, place.start, word))
        message = REF_ALLOC_FATAL_UNDERRUN;
    close_surroundings(place);
    return message;
}

/* Of two threads that free one secret, one gets it. */
static bool claim(struct span *span)
{
    uint32_t expected = SPAN_LIVE;
    return atomic_compare_exchange_strong(&span->state, &expected, SPAN_TAKEN);
}

const char *guarded_free(struct ref_alloc_heap *heap, struct span *span, void *secret)
{
    const char *message = NULL;
    if (secret != place_of(span).start)
        return REF_ALLOC_FATAL_BAD_POINTER;
    if (!claim(span))
        return REF_ALLOC_FATAL_DOUBLE_FREE;
    int saved = errno;
    atomic_fetch_sub_explicit(&heap->forked->guarded_secrets, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&heap->forked->guarded_bytes, span->size_bytes, memory_order_relaxed);
    /* Where the page can't be opened it stays locked and inaccessible, and the pool tries again later. */
    span->soiled = span->access != OS_READ_WRITE && !span_protect(span, OS_READ_WRITE);
    if (!span->soiled) {
        message = guarded_check_canary(heap, span);
        ANNOTATE_OPEN(span->data, span_bytes(span));
        wipe_bytes(span->data, span_bytes(span));
        ANNOTATE_CLOSED(span->data, span_bytes(span));
    }
    ANNOTATE_FREED(heap, secret);
    pool_release(&heap->pool, span);
    errno = saved;
    return message;
}

/*
 *     before  | canary |      old secret      | canary |        the kept bytes move to their new start, then
 *     after   | canary canary | kept | canary          |        everything else is zero for a moment, then canary
 */
bool guarded_resize(struct ref_alloc_heap *heap, struct span *span, size_t new_size_bytes,
                    void **secret)
{
    struct layout_span layout;
    size_t old_size_bytes = span->size_bytes;
    size_t kept_bytes = old_size_bytes < new_size_bytes ? old_size_bytes : new_size_bytes;
    if (!layout_span(heap->page_bytes, new_size_bytes, (size_t)1 << span->align_log2, &layout) ||
        layout.pages != span->chunk->layout.span_pages)
        return false;
    struct place before = place_of(span), after = place_in(span, new_size_bytes);
    open_surroundings(before);
    memmove(after.start, before.start, kept_bytes);
    wipe_bytes(after.data, (size_t)(after.start - after.data));
    wipe_bytes(after.start + kept_bytes, (size_t)(after.limit - (after.start + kept_bytes)));
    span->size_bytes = new_size_bytes;
    surround(heap, after);
    ANNOTATE_RESIZED(heap, before.start, after.start, old_size_bytes, new_size_bytes);
    atomic_fetch_add_explicit(&heap->forked->guarded_bytes, new_size_bytes - old_size_bytes,
                              memory_order_relaxed);
    *secret = after.start;
    return true;
}
