/* layout.c - see layout.h for the pictures and the equations. */
#include "layout.h"

#define SMALL_CLASSES 16
#define SMALL_LIMIT_LOG2 8
#define CLASSES_PER_DOUBLING_LOG2 2

/* Room for the alignment, the guards and the rest of a chunk, so that nothing computed later can wrap. */
static size_t largest_secret_bytes(size_t page_bytes)
{
    return (size_t)PTRDIFF_MAX - 2 * LAYOUT_CHUNK_PAGES * page_bytes;
}

bool layout_span(size_t page_bytes, size_t size_bytes, size_t align_bytes, struct layout_span *span)
{
    if (size_bytes > largest_secret_bytes(page_bytes))
        return false;
    size_t tail_bytes = layout_round_up(size_bytes, align_bytes);
    size_t span_bytes = layout_round_up(size_bytes == 0 ? 1 : tail_bytes, page_bytes);
    span->pages = span_bytes / page_bytes;
    span->start_bytes = span_bytes - tail_bytes;
    return true;
}

static unsigned floor_log2(size_t value)
{
    return (unsigned)(sizeof(unsigned long) * 8 - 1) -
           (unsigned)__builtin_clzl((unsigned long)value);
}

void layout_chunk(size_t page_bytes, size_t span_pages, struct layout_chunk *chunk)
{
    bool pooled = span_pages <= LAYOUT_MAX_POOLED_PAGES;
    size_t stride_pages = span_pages + 1;
    chunk->page_bytes = page_bytes;
    chunk->span_pages = span_pages;
    chunk->span_count = pooled ? (LAYOUT_CHUNK_PAGES - 1) / stride_pages : 1;
    chunk->size_bytes = (pooled ? LAYOUT_CHUNK_PAGES : stride_pages + 1) * page_bytes;
    chunk->page_log2 = floor_log2(page_bytes);
    chunk->stride_reciprocal = pooled ? layout_reciprocal((uint32_t)stride_pages) : 0;
}

static unsigned smallest_class(size_t needed_bytes)
{
    if (needed_bytes <= LAYOUT_SMALL_LIMIT_BYTES)
        return layout_small_class(needed_bytes);
    unsigned doubling = floor_log2(needed_bytes - 1);
    unsigned quarter =
        (unsigned)((needed_bytes - 1) >> (doubling - CLASSES_PER_DOUBLING_LOG2)) & 3U;
    return SMALL_CLASSES + ((doubling - SMALL_LIMIT_LOG2) << CLASSES_PER_DOUBLING_LOG2) + quarter;
}

/* Any slot is aligned to 16. Beyond that a power of two is taken, which is aligned to itself. */
static size_t slot_bytes_for_align(size_t needed_bytes, size_t align_bytes)
{
    size_t bytes = align_bytes;
    while (bytes < needed_bytes)
        bytes <<= 1;
    return bytes;
}

bool layout_slot_class(size_t page_bytes, size_t needed_bytes, size_t align_bytes,
                       unsigned *slot_class)
{
    size_t largest_bytes = page_bytes / 2;
    if (needed_bytes > largest_bytes || align_bytes > largest_bytes)
        return false;
    if (align_bytes > LAYOUT_SLOT_STEP_BYTES)
        needed_bytes = slot_bytes_for_align(needed_bytes, align_bytes);
    *slot_class = smallest_class(needed_bytes == 0 ? 1 : needed_bytes);
    return true;
}

size_t layout_slot_bytes(unsigned slot_class)
{
    if (slot_class < SMALL_CLASSES)
        return (slot_class + 1) * LAYOUT_SLOT_STEP_BYTES;
    unsigned doubling =
        SMALL_LIMIT_LOG2 + ((slot_class - SMALL_CLASSES) >> CLASSES_PER_DOUBLING_LOG2);
    size_t quarters = ((slot_class - SMALL_CLASSES) & 3U) + 1;
    return ((size_t)1 << doubling) + (quarters << (doubling - CLASSES_PER_DOUBLING_LOG2));
}

struct layout_slots layout_slots(size_t page_bytes, unsigned slot_class)
{
    uint32_t slot_bytes = (uint32_t)layout_slot_bytes(slot_class);
    return (struct layout_slots){
        .slot_bytes = slot_bytes,
        .slot_count = (uint32_t)page_bytes / slot_bytes,
        .reciprocal = layout_reciprocal(slot_bytes),
    };
}
