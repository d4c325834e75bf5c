/* The layout arithmetic, exhaustively, against a restatement that shares nothing with it: it searches. */
#include "support.h"

#include "layout.h"

static const size_t pages[] = {4096, 8192, 16384, 32768, 65536};
#define EACH_PAGE(page) for (size_t p_ = 0, page; p_ < 5 && (page = pages[p_], true); p_++)

/* The largest start in the shortest span that leaves room for the secret and is aligned. */
static void restate_span(size_t page, size_t size, size_t align, size_t *span_pages, size_t *start)
{
    for (*span_pages = 1;; (*span_pages)++) {
        if (*span_pages * page < size)
            continue;
        *start = *span_pages * page - size;
        while (*start % align != 0)
            (*start)--;
        return;
    }
}

static void check_span(size_t page, size_t size, size_t align)
{
    size_t span_pages, start;
    struct layout_span span;
    restate_span(page, size, align, &span_pages, &start);
    assert_true(layout_span(page, size, align, &span));
    assert_int_equal(span.pages, span_pages);
    assert_int_equal(span.start_bytes, start);
}

static void every_size_to_three_pages(void **state)
{
    (void)state;
    EACH_PAGE(page)
    {
        for (size_t size = 0; size <= 3 * page + 1; size++)
            check_span(page, size, 16);
        for (size_t align = 1; align <= page; align *= 2)
            for (size_t size = 0; size <= 3 * page; size += align > 64 ? align / 4 - 1 : 61)
                check_span(page, size, align);
    }
}

static void sizes_that_wrap(void **state)
{
    (void)state;
    EACH_PAGE(page)
    {
        struct layout_span span;
        struct layout_chunk chunk;
        for (size_t align = 1; align <= page; align *= 2)
            for (size_t below = 0; below <= 3 * page; below++)
                assert_false(layout_span(page, SIZE_MAX - below, align, &span));
        size_t largest = (size_t)PTRDIFF_MAX - 2 * LAYOUT_CHUNK_PAGES * page;
        for (size_t beyond = 1; beyond <= 3 * page; beyond++)
            assert_false(layout_span(page, largest + beyond, 16, &span));
        /* The largest that exists must not wrap in anything that is computed from it. */
        assert_true(layout_span(page, largest, page, &span));
        layout_chunk(page, span.pages, &chunk);
        assert_true(chunk.size_bytes > largest);
        assert_true(chunk.size_bytes + LAYOUT_CHUNK_PAGES * page <= (size_t)PTRDIFF_MAX);
    }
}

/* Walks a chunk page by page, saying what each page is. */
static void check_chunk(size_t page, size_t span_pages)
{
    struct layout_chunk chunk;
    size_t index;
    layout_chunk(page, span_pages, &chunk);
    assert_true(chunk.span_count >= 1);
    size_t total_pages = chunk.size_bytes / page, at = 1;
    for (size_t span = 0; span < chunk.span_count; span++) {
        assert_int_equal(layout_span_offset(&chunk, span), at * page);
        for (size_t i = 0; i <= span_pages; i++, at++) {
            assert_true(at < total_pages);
            assert_true(layout_span_at(&chunk, at * page, &index));
            assert_int_equal(index, span);
            assert_true(layout_span_at(&chunk, at * page + page - 1, &index));
            assert_int_equal(index, span);
        }
    }
    /* What is left over belongs to no span, and is too short for one. */
    assert_true(total_pages - at < span_pages + 1);
    for (; at < total_pages; at++)
        assert_false(layout_span_at(&chunk, at * page, &index));
    assert_false(layout_span_at(&chunk, 0, &index));
    assert_false(layout_span_at(&chunk, page - 1, &index));
    assert_false(layout_span_at(&chunk, chunk.size_bytes, &index));
    assert_false(layout_span_at(&chunk, SIZE_MAX, &index));
}

static void every_chunk(void **state)
{
    (void)state;
    EACH_PAGE(page)
    for (size_t span_pages = 1; span_pages <= LAYOUT_MAX_POOLED_PAGES + 3; span_pages++)
        check_chunk(page, span_pages);
}

/* The slot sizes, written down another way: all multiples of 16 whose four leading bits say it all. */
static size_t restate_slot(size_t needed, size_t align)
{
    for (size_t size = 16;; size += 16) {
        size_t unit = 16;
        while (size > 16 * unit || (size > 256 && size > 8 * unit))
            unit *= 2;
        bool power = (size & (size - 1)) == 0;
        if (size >= needed && size % unit == 0 && (align <= 16 || (power && size % align == 0)))
            return size;
    }
}

static void every_slot_class(void **state)
{
    (void)state;
    EACH_PAGE(page)
    {
        unsigned slot_class, before = 0;
        for (size_t needed = 0; needed <= page / 2; needed++) {
            assert_true(layout_slot_class(page, needed, 16, &slot_class));
            assert_true(slot_class == before || slot_class == before + 1);
            assert_true(slot_class < LAYOUT_SLOT_CLASSES);
            if (slot_class != before || needed <= 1024)
                assert_int_equal(layout_slot_bytes(slot_class), restate_slot(needed, 16));
            assert_true(layout_slot_bytes(slot_class) >= needed);
            before = slot_class;
        }
        for (size_t beyond = page / 2 + 1; beyond <= 2 * page; beyond++)
            assert_false(layout_slot_class(page, beyond, 16, &slot_class));
        assert_false(layout_slot_class(page, SIZE_MAX, 16, &slot_class));
        assert_false(layout_slot_class(page, 1, page, &slot_class));
        for (size_t align = 1; align <= page / 2; align *= 2)
            for (size_t needed = 1; needed <= page / 2; needed += needed < 512 ? 1 : 509) {
                assert_true(layout_slot_class(page, needed, align, &slot_class));
                if (align <= 512 && needed <= 1024)
                    assert_int_equal(layout_slot_bytes(slot_class), restate_slot(needed, align));
                assert_int_equal(layout_slot_bytes(slot_class) % align, 0);
            }
    }
}

static void division_is_exact(void **state)
{
    (void)state;
    EACH_PAGE(page)
    for (unsigned slot_class = 0; slot_class < LAYOUT_SLOT_CLASSES; slot_class++) {
        struct layout_slots slots = layout_slots(page, slot_class);
        if (slots.slot_bytes > page / 2)
            continue;
        assert_int_equal(slots.slot_count, page / slots.slot_bytes);
        for (uint32_t offset = 0; offset < page; offset++)
            assert_int_equal(layout_divide(offset, slots.reciprocal), offset / slots.slot_bytes);
    }
}

static void promised_density(void **state)
{
    unsigned slot_class;
    (void)state;
    assert_true(layout_slot_class(4096, 32 + LAYOUT_MIN_CANARY_BYTES, 16, &slot_class));
    assert_true(16 * layout_slots(4096, slot_class).slot_count >= 1360);
    assert_true(layout_slot_class(4096, 32, 16, &slot_class));
    assert_true(16 * layout_slots(4096, slot_class).slot_count >= 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_to_three_pages),
        cmocka_unit_test(sizes_that_wrap),
        cmocka_unit_test(every_chunk),
        cmocka_unit_test(every_slot_class),
        cmocka_unit_test(division_is_exact),
        cmocka_unit_test(promised_density),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
