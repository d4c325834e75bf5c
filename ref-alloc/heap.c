/*
 * heap.c - heaps, and the public functions: each finds the heap, sees to it that it is this process's own, finds
 * the placement, and turns a message into `fatal`.
 */
#include "heap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "annotate.h"
#include "guarded.h"
#include "os.h"
#include "process.h"
#include "span.h"
#include "wipe.h"

#define DEFAULT_QUARANTINE_SPANS 8

/* The eras of struct forked. The kernel makes it ERA_FORKED. */
enum { ERA_FORKED = 0, ERA_ADOPTING = 1, ERA_OWN = 2 };

static _Atomic(struct ref_alloc_heap *) default_heap;

/* ---- a heap in a forked child ---- */

/*
 * Nothing that was half done in the parent at that moment matters: locks, lists and slabs start anew, and of the
 * rest only what is changed by a single store is used.
 */
static void adopt(struct ref_alloc_heap *heap)
{
    uint32_t expected = ERA_FORKED;
    int saved = errno; /* ref_alloc_free keeps it, also as the first call in a child */
    if (atomic_compare_exchange_strong(&heap->forked->era, &expected, ERA_ADOPTING)) {
        metadata_adopt(&heap->metadata);
        pool_adopt(&heap->pool);
        packed_adopt(&heap->packed);
        process_add(heap);
        atomic_store(&heap->forked->era, ERA_OWN);
        errno = saved;
    }
    while (atomic_load(&heap->forked->era) != ERA_OWN)
        os_yield();
}

static inline struct ref_alloc_heap *enter(struct ref_alloc_heap *heap)
{
    if (heap == NULL && (heap = ref_alloc_default_heap()) == NULL)
        return NULL;
    if (__builtin_expect(atomic_load_explicit(&heap->forked->era, memory_order_acquire) != ERA_OWN,
                         0))
        adopt(heap);
    return heap;
}

struct ref_alloc_heap *heap_enter(struct ref_alloc_heap *heap)
{
    return enter(heap);
}

/* ---- fatal ---- */

static bool wipe_secrets(struct ref_alloc_heap *heap)
{
    pool_wipe_all(&heap->pool);
    return false; /* on to the next */
}

/* Of every heap: a process that ends here leaves no secret to who looks at what is left of it. */
static _Noreturn void wipe_and_abort(void)
{
    process_visit(NULL, wipe_secrets);
    abort();
}

static _Noreturn void fatal(struct ref_alloc_heap *heap, const char *message)
{
    if (heap->config.fatal != NULL)
        heap->config.fatal(heap->config.fatal_arg, message);
    wipe_and_abort();
}

static inline void fatal_if(struct ref_alloc_heap *heap, const char *message)
{
    if (__builtin_expect(message != NULL, 0))
        fatal(heap, message);
}

/* The span of a pointer that the caller says is a living secret. */
static inline struct span *span_of(struct ref_alloc_heap *heap, const void *secret)
{
    struct span *span = pool_find(&heap->pool, secret);
    if (__builtin_expect(span == NULL, 0))
        fatal(heap, REF_ALLOC_FATAL_BAD_POINTER);
    return span;
}

/* ---- open and close ---- */

static bool config_is_valid(const struct ref_alloc_config *config, size_t page_bytes)
{
    return (unsigned)config->placement <= REF_ALLOC_PLACEMENT_PACKED &&
           (unsigned)config->fork <= REF_ALLOC_FORK_ABSENT && layout_is_power_of_two(page_bytes) &&
           page_bytes >= LAYOUT_MIN_PAGE_BYTES && page_bytes <= LAYOUT_MAX_PAGE_BYTES;
}

static struct pool_policy policy_of(const struct ref_alloc_heap *heap)
{
    const struct ref_alloc_config *config = &heap->config;
    return (struct pool_policy){
        .page_bytes = heap->page_bytes,
        .budget_bytes = config->lock_budget_bytes != 0 ? config->lock_budget_bytes : SIZE_MAX,
        .quarantine_spans =
            config->quarantine_spans != 0 ? config->quarantine_spans : DEFAULT_QUARANTINE_SPANS,
        .allow_core_dump = config->allow_core_dump && !config->secret_memory,
        .absent_in_child = config->fork == REF_ALLOC_FORK_ABSENT || config->secret_memory,
        .secret_memory = config->secret_memory,
    };
}

static bool open_forked(struct ref_alloc_heap *heap)
{
    unsigned char *page;
    if (!os_reserve(heap->page_bytes, &page))
        return false;
    heap->forked = (struct forked *)(void *)page;
    if (!os_wipe_on_fork(page, heap->page_bytes) ||
        !os_protect(page, heap->page_bytes, OS_READ_WRITE))
        return false;
    atomic_store(&heap->forked->era, ERA_OWN);
    return true;
}

/* What can't be unmapped here is neither locked nor secret. */
static void close_parts(struct ref_alloc_heap *heap)
{
    if (heap->forked != NULL)
        os_unmap((unsigned char *)heap->forked, heap->page_bytes);
    metadata_close(&heap->metadata);
}

static bool open_parts(struct ref_alloc_heap *heap)
{
    struct pool_policy policy = policy_of(heap);
    packed_open(&heap->packed, heap->page_bytes, heap->config.without_canary);
    if (!process_prepare() || !open_forked(heap))
        return false;
    if (!os_random(&heap->canary_key, sizeof(heap->canary_key)))
        return false;
    ANNOTATE_FILLED(&heap->canary_key, sizeof(heap->canary_key));
    return pool_open(&heap->pool, &policy, &heap->forked->quota, &heap->metadata) &&
           (!heap->config.secret_memory || os_has_secret_memory());
}

/* The heap lies in the first block of its own metadata. */
static struct ref_alloc_heap *make_heap(const struct ref_alloc_config *config, size_t page_bytes)
{
    struct metadata metadata;
    metadata_open(&metadata, page_bytes);
    struct ref_alloc_heap *heap =
        metadata_take(&metadata, sizeof(*heap) + _Alignof(struct ref_alloc_heap));
    if (heap == NULL)
        return NULL;
    size_t align_bytes = _Alignof(struct ref_alloc_heap);
    heap = (struct ref_alloc_heap *)(((uintptr_t)heap + align_bytes - 1) &
                                     ~(uintptr_t)(align_bytes - 1));
    heap->metadata = metadata;
    heap->page_bytes = page_bytes;
    heap->config = *config;
    return heap;
}

bool ref_alloc_open(const struct ref_alloc_config *config, struct ref_alloc_heap **heap_out)
{
    static const struct ref_alloc_config defaults;
    size_t page_bytes = os_page_bytes();
    if (config == NULL)
        config = &defaults;
    if (!config_is_valid(config, page_bytes)) {
        errno = EINVAL;
        return false;
    }
    struct ref_alloc_heap *heap = make_heap(config, page_bytes);
    if (heap == NULL)
        return false;
    if (!open_parts(heap)) {
        int saved = errno;
        close_parts(heap);
        errno = saved;
        return false;
    }
    process_add(heap);
    ANNOTATE_HEAP_OPENED(heap);
    *heap_out = heap;
    return true;
}

bool ref_alloc_close(struct ref_alloc_heap *heap)
{
    struct ref_alloc_heap *present = atomic_load(&default_heap);
    if (heap == NULL && (heap = present) == NULL)
        return true;
    enter(heap);
    process_remove(heap); /* first: from here on nobody else gives back its spans */
    heap->wiped = heap->wiped || pool_wipe_all(&heap->pool);
    if (!heap->wiped) {
        process_add(heap);
        return false;
    }
    if (!pool_close(&heap->pool))
        return false;
    ANNOTATE_HEAP_CLOSED(heap);
    if (heap == present)
        atomic_store(&default_heap, NULL);
    close_parts(heap);
    return true;
}

/* Threads that come here at once each open a heap; the first to publish it wins. No lock: see adopt. */
struct ref_alloc_heap *ref_alloc_default_heap(void)
{
    struct ref_alloc_heap *present = atomic_load_explicit(&default_heap, memory_order_acquire),
                          *fresh;
    if (__builtin_expect(present != NULL, 1))
        return present;
    if (!ref_alloc_open(NULL, &fresh))
        return NULL;
    if (atomic_compare_exchange_strong(&default_heap, &present, fresh))
        return fresh;
    ref_alloc_close(fresh);
    return present;
}

/* ---- allocate ---- */

static bool give_back_idle(struct ref_alloc_heap *heap)
{
    packed_surrender_empty(heap);
    return pool_give_back_oldest(&heap->pool);
}

/* What idles in other heaps is of no use where this one's own budget stands in the way. */
static bool others_give_back(struct ref_alloc_heap *heap, size_t pages)
{
    return pool_is_within_budget(&heap->pool, pages) && process_visit(heap, give_back_idle);
}

bool heap_acquire_span(struct ref_alloc_heap *heap, size_t pages, bool quarantined,
                       struct span **span)
{
    while (!pool_acquire(&heap->pool, pages, quarantined, span)) {
        int saved = errno;
        bool again = packed_surrender_empty(heap) || others_give_back(heap, pages);
        errno = saved;
        if (!again)
            return false;
    }
    return true;
}

static inline void *allocate(struct ref_alloc_heap *heap, size_t align_bytes, size_t size_bytes)
{
    struct packed_request request;
    const char *message = NULL;
    if (heap->config.placement == REF_ALLOC_PLACEMENT_GUARDED ||
        !packed_request(&heap->packed, size_bytes, align_bytes, &request))
        return guarded_allocate(heap, size_bytes, align_bytes);
    void *secret = packed_allocate(heap, &request, &message);
    fatal_if(heap, message);
    return secret;
}

void *ref_alloc_allocate(struct ref_alloc_heap *heap, size_t size_bytes)
{
    heap = enter(heap);
    return heap == NULL ? NULL : allocate(heap, REF_ALLOC_DEFAULT_ALIGN_BYTES, size_bytes);
}

void *ref_alloc_zeroed(struct ref_alloc_heap *heap, size_t count, size_t size_bytes)
{
    size_t product_bytes;
    if (__builtin_mul_overflow(count, size_bytes, &product_bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    void *secret = ref_alloc_allocate(heap, product_bytes);
    if (secret != NULL)
        ANNOTATE_ZEROED(secret, product_bytes);
    return secret;
}

void *ref_alloc_aligned(struct ref_alloc_heap *heap, size_t align_bytes, size_t size_bytes)
{
    heap = enter(heap);
    if (heap == NULL)
        return NULL;
    if (!layout_is_power_of_two(align_bytes) || align_bytes > heap->page_bytes) {
        errno = EINVAL;
        return NULL;
    }
    if (align_bytes < REF_ALLOC_DEFAULT_ALIGN_BYTES)
        align_bytes = REF_ALLOC_DEFAULT_ALIGN_BYTES;
    return allocate(heap, align_bytes, size_bytes);
}

/* ---- free ---- */

static const char *free_in_span(struct ref_alloc_heap *heap, struct span *span, void *secret)
{
    return span_state(span) == SPAN_SLAB ? packed_free(heap, span, secret)
                                         : guarded_free(heap, span, secret);
}

void ref_alloc_free(struct ref_alloc_heap *heap, void *secret)
{
    if (secret == NULL)
        return;
    __builtin_prefetch(secret, 1); /* fetched while we find out what it is */
    if ((heap = enter(heap)) == NULL)
        wipe_and_abort();
    struct span *span = span_of(heap, secret);
    if (__builtin_expect(pool_is_inherited(&heap->pool, span), 0))
        return;
    fatal_if(heap, free_in_span(heap, span, secret));
}

/* ---- what is known about a secret ---- */

static const char *describe(struct ref_alloc_heap *heap, struct span *span, const void *secret,
                            size_t *size_bytes, size_t *align_bytes)
{
    if (span_state(span) == SPAN_SLAB)
        return packed_size(heap, span, secret, size_bytes, align_bytes);
    *size_bytes = span->size_bytes;
    *align_bytes = (size_t)1 << span->align_log2;
    return guarded_check_pointer(span, secret);
}

size_t ref_alloc_usable_bytes(struct ref_alloc_heap *heap, const void *secret)
{
    size_t size_bytes, align_bytes;
    if (secret == NULL || (heap = enter(heap)) == NULL)
        return 0;
    struct span *span = span_of(heap, secret);
    if (pool_is_inherited(&heap->pool, span))
        return 0;
    const char *message = describe(heap, span, secret, &size_bytes, &align_bytes);
    if (message != NULL)
        fatal(heap, REF_ALLOC_FATAL_BAD_POINTER);
    return size_bytes;
}

bool ref_alloc_protect(struct ref_alloc_heap *heap, void *secret, enum ref_alloc_access access)
{
    static const uint8_t os_access[] = {[REF_ALLOC_ACCESS_NONE] = OS_NONE,
                                        [REF_ALLOC_ACCESS_READ] = OS_READ,
                                        [REF_ALLOC_ACCESS_READ_WRITE] = OS_READ_WRITE};
    if ((heap = enter(heap)) == NULL)
        return false;
    struct span *span = span_of(heap, secret);
    errno = EINVAL;
    if ((unsigned)access > REF_ALLOC_ACCESS_READ_WRITE || pool_is_inherited(&heap->pool, span))
        return false;
    if (span_state(span) == SPAN_SLAB) {
        errno = ENOTSUP;
        return false;
    }
    if (guarded_check_pointer(span, secret) != NULL)
        fatal(heap, REF_ALLOC_FATAL_BAD_POINTER);
    uint8_t before = span->access;
    if (span_protect(span, os_access[access]))
        return true;
    int saved = errno;
    if (before != SPAN_ACCESS_UNKNOWN)
        span_protect(span, before);
    errno = saved;
    return false;
}

/* ---- resize ---- */

/* A new secret, the kept bytes, and the old one is freed: wiped, whatever its size was. */
static void *move(struct ref_alloc_heap *heap, struct span *span, void *secret,
                  size_t new_size_bytes)
{
    size_t old_size_bytes, align_bytes;
    fatal_if(heap, describe(heap, span, secret, &old_size_bytes, &align_bytes));
    void *fresh = allocate(heap, align_bytes, new_size_bytes);
    if (fresh == NULL)
        return NULL;
    memcpy(fresh, secret, old_size_bytes < new_size_bytes ? old_size_bytes : new_size_bytes);
    fatal_if(heap, free_in_span(heap, span, secret));
    return fresh;
}

static void *resize_guarded(struct ref_alloc_heap *heap, struct span *span, void *secret,
                            size_t new_size_bytes)
{
    fatal_if(heap, guarded_check_pointer(span, secret));
    if (span->access != OS_READ_WRITE) {
        errno = EACCES;
        return NULL;
    }
    if (guarded_check_canary(heap, span) != NULL)
        fatal(heap, guarded_free(heap, span, secret));
    if (guarded_resize(heap, span, new_size_bytes, &secret))
        return secret;
    return move(heap, span, secret, new_size_bytes);
}

static void *resize_packed(struct ref_alloc_heap *heap, struct span *span, void *secret,
                           size_t new_size_bytes)
{
    bool done = false;
    fatal_if(heap, packed_resize(heap, span, secret, new_size_bytes, &done));
    return done ? secret : move(heap, span, secret, new_size_bytes);
}

void *ref_alloc_resize(struct ref_alloc_heap *heap, void *secret, size_t new_size_bytes)
{
    if (secret == NULL)
        return ref_alloc_allocate(heap, new_size_bytes);
    if ((heap = enter(heap)) == NULL)
        return NULL;
    struct span *span = span_of(heap, secret);
    if (pool_is_inherited(&heap->pool, span)) {
        errno = EINVAL;
        return NULL;
    }
    return span_state(span) == SPAN_SLAB ? resize_packed(heap, span, secret, new_size_bytes)
                                         : resize_guarded(heap, span, secret, new_size_bytes);
}

/* ---- statistics ---- */

bool ref_alloc_statistics(struct ref_alloc_heap *heap, struct ref_alloc_statistics *statistics)
{
    if ((heap = enter(heap)) == NULL)
        return false;
    struct forked *forked = heap->forked;
    packed_count(heap, &statistics->live_secrets, &statistics->live_bytes);
    statistics->live_secrets += atomic_load(&forked->guarded_secrets);
    statistics->live_bytes += atomic_load(&forked->guarded_bytes);
    statistics->locked_bytes = atomic_load(&forked->quota.locked_bytes);
    statistics->locked_high_water_bytes = atomic_load(&forked->quota.high_water_bytes);
    statistics->failed_locks = atomic_load(&forked->quota.failed_locks);
    return true;
}
