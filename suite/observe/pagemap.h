/* SPDX-License-Identifier: MIT */
/*
 * pagemap.h: which pages of a case hold something.
 *
 * Asking spares populating the others by reading them; and a sanitizer's shadow is terabytes of pages that
 * nobody ever wrote to.
 */
#ifndef SUITE_OBSERVE_PAGEMAP_H
#define SUITE_OBSERVE_PAGEMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGEMAP_RANGES 64u
#define PAGEMAP_BLOCK 512u

/* Addresses [start, end) of pages that match what was asked for: struct page_region of linux/fs.h, 6.7. */
struct pagemap_range {
    uint64_t start, end, categories;
};

/* A walk upwards through one range of addresses. What it last read of the pagemap is kept. */
struct pagemap {
    int fd;            /* /proc/PID/pagemap; -1: unknown, and every page may hold something */
    bool private_file; /* of a file's private pages only those count that were written to */
    uint64_t page_bytes;
    /* by PAGEMAP_SCAN: what holds something in [.., known_end) */
    bool no_scan;
    uint64_t known_end;
    size_t next, count;
    struct pagemap_range ranges[PAGEMAP_RANGES];
    /* where the kernel has no PAGEMAP_SCAN: entries, a block at a time */
    uint64_t first, entries_count;
    uint64_t entries[PAGEMAP_BLOCK];
};

void pagemap_begin(struct pagemap *map, int fd, bool private_file, size_t page_bytes);

/* How many bytes from address (of a page's start) on to end (of a page's end) are known to be zero, or as the
 * file has them: a multiple of the page size. */
uint64_t pagemap_untouched(struct pagemap *map, uint64_t address, uint64_t end);

#endif
