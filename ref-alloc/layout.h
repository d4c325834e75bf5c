/*
 * layout.h - where things lie. Pure arithmetic: no state, no system call, the page size is an argument.
 *
 * A chunk is a piece of reserved address space, aligned to its own size, in which inaccessible guard pages and
 * spans of k pages take turns:
 *
 *     base     +1 page                      +1+(k+1) pages
 *     | guard  | span 0: k pages   | guard  | span 1: k pages   | guard  | ... | guard |
 *              |<---------- stride: k+1 pages -------->|
 *
 *     span i starts at page  1 + i * (k+1)          spans in a chunk:  (chunk pages - 1) / (k+1)
 *
 * Only span pages ever become accessible and locked. Two spans never touch, so the kernel never merges two
 * of their mappings, and each span costs two: itself and its guard.
 *
 * A guarded secret has a span of its own and lies at the end of it:
 *
 *     | guard  | canary canary canary canary | secret: n bytes | canary | guard |
 *              |<----------- start --------->|<- n rounded up to align->|
 *
 *     start = k * page - round_up(n, align)         k = max(1, ceil(round_up(n, align) / page))
 *
 * n = 0 starts at the guard, so its first byte traps.
 *
 * Packed secrets share a span of one page, a slab, which is cut into slots of one class:
 *
 *     | guard  | slot 0 | slot 1 | slot 2 | ...           | rest | guard |
 *              | secret: n bytes | canary: all the rest of the slot, at least 8 bytes |
 *
 * Slot sizes: 16, 32, 48 ... 256, and from there four for each doubling (320, 384, 448, 512, 640 ...), up to half
 * a page. All are multiples of 16, and a power of two is a slot size, so that slot is aligned to itself.
 */
#ifndef LAYOUT_H
#define LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

#define LAYOUT_MIN_PAGE_BYTES ((size_t)4096)
#define LAYOUT_MAX_PAGE_BYTES ((size_t)65536)
#define LAYOUT_CHUNK_PAGES ((size_t)256)
/* Longer spans have a chunk of their own, as long as they need. */
#define LAYOUT_MAX_POOLED_PAGES ((size_t)16)

#define LAYOUT_SLOT_STEP_BYTES ((size_t)16)
#define LAYOUT_SMALL_LIMIT_BYTES ((size_t)256) /* up to here the classes are one step apart */
#define LAYOUT_SLOT_CLASSES 44                 /* up to half of the largest page */
#define LAYOUT_MIN_CANARY_BYTES ((size_t)8)

struct layout_span {
    size_t pages;
    size_t start_bytes; /* of the secret, from the start of the span */
};

struct layout_chunk {
    size_t page_bytes;
    size_t span_pages;
    size_t span_count;
    size_t size_bytes;
    uint32_t stride_reciprocal;
    unsigned page_log2;
};

struct layout_slots {
    uint32_t slot_bytes;
    uint32_t slot_count;
    uint32_t reciprocal;
};

static inline bool layout_is_power_of_two(size_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

/* `unit` is a power of two, and the result must fit. */
static inline size_t layout_round_up(size_t value, size_t unit)
{
    return (value + unit - 1) & ~(unit - 1);
}

/*
 * dividend / divisor without a division: reciprocal = ceil(2^32 / divisor) is too large by less than one part
 * in 2^32 / divisor, so the quotient is exact while dividend * divisor < 2^32 (and divisor > 1).
 */
static inline uint32_t layout_reciprocal(uint32_t divisor)
{
    return (uint32_t)(((UINT64_C(1) << 32) + divisor - 1) / divisor);
}

static inline uint32_t layout_divide(uint32_t dividend, uint32_t reciprocal)
{
    return (uint32_t)(((uint64_t)dividend * reciprocal) >> 32);
}

/* The span that a guarded secret needs. `align_bytes` is a power of two, at most a page. false: no such size. */
bool layout_span(size_t page_bytes, size_t size_bytes, size_t align_bytes,
                 struct layout_span *span);

/* A chunk for spans of so many pages: at least one, and no more than layout_span can say. */
void layout_chunk(size_t page_bytes, size_t span_pages, struct layout_chunk *chunk);

static inline size_t layout_span_offset(const struct layout_chunk *chunk, size_t index)
{
    return (1 + index * (chunk->span_pages + 1)) * chunk->page_bytes;
}

/* The span that holds the byte at `offset_bytes`, or is followed by the guard that does. false: neither. */
static inline bool layout_span_at(const struct layout_chunk *chunk, size_t offset_bytes,
                                  size_t *index)
{
    size_t page = offset_bytes >> chunk->page_log2;
    if (page == 0 || offset_bytes >= chunk->size_bytes)
        return false;
    *index =
        chunk->span_count == 1 ? 0 : layout_divide((uint32_t)page - 1, chunk->stride_reciprocal);
    return *index < chunk->span_count;
}

/* The class of the smallest slot for so many bytes (canary included) at this alignment. false: none. */
bool layout_slot_class(size_t page_bytes, size_t needed_bytes, size_t align_bytes,
                       unsigned *slot_class);

/* The same for 1 to LAYOUT_SMALL_LIMIT_BYTES at an alignment of up to a step. */
static inline unsigned layout_small_class(size_t needed_bytes)
{
    return (unsigned)((needed_bytes - 1) / LAYOUT_SLOT_STEP_BYTES);
}

size_t layout_slot_bytes(unsigned slot_class);
struct layout_slots layout_slots(size_t page_bytes, unsigned slot_class);

#pragma GCC visibility pop

#endif
