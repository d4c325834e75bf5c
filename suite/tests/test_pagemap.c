/* SPDX-License-Identifier: MIT */
/* Both ways of asking which pages hold something say the same, and the truth. */
#include "suite/observe/pagemap.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGES ((size_t)700) /* more than a block of entries */
#define EACH 3u             /* every third is written to: more ranges than one scan returns */

static size_t page_bytes;

static unsigned char *map_pages(size_t pages, int flags, int fd)
{
    unsigned char *start =
        mmap(NULL, pages * page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | flags, fd, 0);
    assert_ptr_not_equal(start, MAP_FAILED);
    return start;
}

/* Does a walk find just the pages whose number says so? */
static void expect(const unsigned char *start, size_t pages, bool private_file, bool no_scan,
                   bool (*touched)(size_t page))
{
    struct pagemap map;
    uint64_t at = (uintptr_t)start, end = at + pages * page_bytes;
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    pagemap_begin(&map, fd, private_file, page_bytes);
    map.no_scan = no_scan;
    for (size_t page = 0; page < pages;) {
        uint64_t untouched = pagemap_untouched(&map, at + page * page_bytes, end) / page_bytes;
        for (uint64_t i = 0; i < untouched; i++)
            assert_false(touched(page++));
        if (untouched == 0)
            assert_true(touched(page++));
    }
    close(fd);
}

static bool every_third(size_t page)
{
    return page % EACH == 0;
}

static bool only_the_last(size_t page)
{
    return page == PAGES - 1;
}

static bool only_the_second(size_t page)
{
    return page == 1;
}

static bool first_and_second(size_t page)
{
    return page <= 1;
}

static void pages_that_were_written_to_are_found(void **state)
{
    (void)state;
    unsigned char *many = map_pages(PAGES, MAP_ANONYMOUS, -1),
                  *few = map_pages(PAGES, MAP_ANONYMOUS, -1);
    assert_int_equal(madvise(many, PAGES * page_bytes, MADV_NOHUGEPAGE), 0);
    assert_int_equal(madvise(few, PAGES * page_bytes, MADV_NOHUGEPAGE), 0);
    for (size_t page = 0; page < PAGES; page += EACH)
        many[page * page_bytes] = 1;
    few[(PAGES - 1) * page_bytes] = 1;
    for (int no_scan = 0; no_scan < 2; no_scan++) {
        expect(many, PAGES, false, no_scan, every_third);
        expect(few, PAGES, false, no_scan, only_the_last);
    }
    munmap(many, PAGES * page_bytes);
    munmap(few, PAGES * page_bytes);
}

/* One page is read, the next is written to. */
static void of_a_file_only_what_was_written_to_counts(void **state)
{
    (void)state;
    int fd = memfd_create("pages", MFD_CLOEXEC);
    assert_true(fd >= 0 && ftruncate(fd, (off_t)(2 * page_bytes)) == 0);
    unsigned char *start = map_pages(2, 0, fd);
    assert_int_equal(((volatile unsigned char *)start)[0], 0);
    start[page_bytes] = 1;
    for (int no_scan = 0; no_scan < 2; no_scan++) {
        expect(start, 2, true, no_scan, only_the_second);
        expect(start, 2, false, no_scan, first_and_second);
    }
    munmap(start, 2 * page_bytes);
    close(fd);
}

static void without_a_pagemap_every_page_may_hold_something(void **state)
{
    (void)state;
    struct pagemap map;
    pagemap_begin(&map, -1, false, page_bytes);
    assert_int_equal(pagemap_untouched(&map, 0, 64 * page_bytes), 0);
}

int main(void)
{
    page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_that_were_written_to_are_found),
        cmocka_unit_test(of_a_file_only_what_was_written_to_counts),
        cmocka_unit_test(without_a_pagemap_every_page_may_hold_something),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
