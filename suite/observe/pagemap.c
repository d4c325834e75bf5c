/* SPDX-License-Identifier: MIT */
/* pagemap.c: asks /proc/PID/pagemap: by PAGEMAP_SCAN, which skips what is empty, or entry by entry. */
#include "suite/observe/pagemap.h"

#include <sys/ioctl.h>
#include <unistd.h>

/* proc(5), /proc/pid/pagemap: bit 63 present, bit 62 swapped, bit 61 a page of a file or shared */
#define ENTRY_POPULATED (UINT64_C(3) << 62)
#define ENTRY_FILE (UINT64_C(1) << 61)

/* include/uapi/linux/fs.h, since Linux 6.7; Documentation/admin-guide/mm/pagemap.rst. The headers here may be
 * older than the kernel. */
struct scan {
    uint64_t size, flags, start, end, walk_end, ranges, ranges_room, pages_max;
    uint64_t inverted, all_of, any_of, returned;
};
#define SCAN _IOWR('f', 16, struct scan)
#define SCAN_FILE (UINT64_C(1) << 2)
#define SCAN_PRESENT (UINT64_C(1) << 3)
#define SCAN_SWAPPED (UINT64_C(1) << 4)

void pagemap_begin(struct pagemap *map, int fd, bool private_file, size_t page_bytes)
{
    map->fd = fd;
    map->private_file = private_file;
    map->page_bytes = page_bytes;
    map->no_scan = false;
    map->known_end = map->first = map->entries_count = 0;
    map->next = map->count = 0;
}

/* ---- by PAGEMAP_SCAN ---- */

/* Reads on from address; false: the kernel cannot. */
static bool scan(struct pagemap *map, uint64_t address, uint64_t end)
{
    struct scan request = {.size = sizeof request,
                           .start = address,
                           .end = end,
                           .ranges = (uintptr_t)map->ranges,
                           .ranges_room = PAGEMAP_RANGES,
                           .inverted = map->private_file ? SCAN_FILE : 0,
                           .all_of = map->private_file ? SCAN_FILE : 0,
                           .any_of = SCAN_PRESENT | SCAN_SWAPPED,
                           .returned = SCAN_PRESENT | SCAN_SWAPPED};
    int got = ioctl(map->fd, SCAN, &request);
    if (got < 0 || request.walk_end <= address)
        return false;
    map->next = 0;
    map->count = (size_t)got;
    map->known_end = request.walk_end;
    return true;
}

static uint64_t untouched_by_scan(struct pagemap *map, uint64_t address, uint64_t end)
{
    while (map->next < map->count && map->ranges[map->next].end <= address)
        map->next++;
    if (map->next == map->count && address >= map->known_end && !scan(map, address, end)) {
        map->no_scan = true;
        return 0;
    }
    uint64_t start = map->next < map->count ? map->ranges[map->next].start : map->known_end;
    return start > address ? start - address : 0;
}

/* ---- entry by entry ---- */

static bool entry_untouched(const struct pagemap *map, uint64_t entry)
{
    return (entry & ENTRY_POPULATED) == 0 || (map->private_file && (entry & ENTRY_FILE) != 0);
}

/* Asking about more than is searched would walk many other mappings. */
static uint64_t untouched_by_entries(struct pagemap *map, uint64_t address, uint64_t end)
{
    uint64_t page = address / map->page_bytes, pages = (end - address) / map->page_bytes;
    if (page < map->first || page - map->first >= map->entries_count) {
        uint64_t asked = pages < PAGEMAP_BLOCK ? pages : PAGEMAP_BLOCK;
        ssize_t got = pread(map->fd, map->entries, asked * sizeof *map->entries,
                            (off_t)(page * sizeof *map->entries));
        map->first = page;
        map->entries_count = got > 0 ? (uint64_t)got / sizeof *map->entries : 0;
    }
    uint64_t i = page - map->first, first = i;
    while (i < map->entries_count && entry_untouched(map, map->entries[i]))
        i++;
    return (i - first) * map->page_bytes;
}

uint64_t pagemap_untouched(struct pagemap *map, uint64_t address, uint64_t end)
{
    if (map->fd < 0 || address >= end)
        return 0;
    uint64_t untouched = map->no_scan ? 0 : untouched_by_scan(map, address, end);
    return map->no_scan ? untouched_by_entries(map, address, end) : untouched;
}
