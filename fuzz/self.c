/* SPDX-License-Identifier: MIT */
/* self.c: see self.h. */
#include "fuzz/self.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "model/ledger.h"
#include "model/machine.h"
#include "model/raw.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#define PAGES_ASKED 64u /* at each end */
#define PAGE_BYTES_MIN ((size_t)4096)
#define CHUNK_BYTES ((size_t)64 << 10)
#define SPARSE_BYTES_MIN ((size_t)32 << 10) /* below it is faster to look than to ask where to */
#define REGIONS 16u                         /* asked for at once */

/* The ioctl PAGEMAP_SCAN (Linux 6.7, include/uapi/linux/fs.h), which older headers lack. */
struct scan_region {
    uint64_t start, end, categories;
};
struct scan {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define SCAN_CALL _IOWR('f', 16, struct scan)
#define SCAN_PRESENT 8u
#define SCAN_SWAPPED 16u

/* Where a sanitizer judges each access, memory is read through the kernel. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MAY_READ_DIRECTLY false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || \
    __has_feature(thread_sanitizer)
#define MAY_READ_DIRECTLY false
#endif
#endif
#ifndef MAY_READ_DIRECTLY
#define MAY_READ_DIRECTLY true
#endif

/* A file of this process's own under /proc. */
struct own_file {
    const char *path;
    bool is_open;
    long file;
    dev_t device;
    ino_t inode;
};
static struct own_file memory = {.path = "/proc/self/mem"};
static struct own_file status = {.path = "/proc/self/status"};
static struct own_file pagemap = {.path = "/proc/self/pagemap"};
static bool is_child;          /* in which nobody catches a trap */
static uint64_t shared_before; /* mappings, by others than the subject */

void memory_forked(void)
{
    memory.is_open = status.is_open = pagemap.is_open = false;
    is_child = true;
}

/* What a subject makes of PR_SET_DUMPABLE gives these files to root (proc(5)): for that moment it is as it was. */
static long open_dumpable(const char *path)
{
    long dumpable = raw_call1(SYS_prctl, PR_GET_DUMPABLE);
    raw_call2(SYS_prctl, PR_SET_DUMPABLE, 1);
    long file = raw_call4(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (dumpable != 1)
        raw_call2(SYS_prctl, PR_SET_DUMPABLE, 0);
    return file;
}

static bool own_open(struct own_file *own)
{
    if (own->is_open)
        return !raw_failed(own->file);
    own->is_open = true;
    own->file = open_dumpable(own->path);
    struct stat about;
    if (raw_failed(own->file) || fstat((int)own->file, &about) != 0)
        return false;
    own->device = about.st_dev;
    own->inode = about.st_ino;
    return true;
}

/* A subject may close what it did not open: then it is opened again. */
static bool own_again(struct own_file *own, long result)
{
    if (result != -EBADF)
        return false;
    own->is_open = false;
    return own_open(own);
}

static void own_close(struct own_file *own)
{
    if (own->is_open && !raw_failed(own->file))
        raw_call1(SYS_close, own->file);
    own->is_open = false;
}

size_t memory_read(uintptr_t address, void *out, size_t size_bytes)
{
    if (!own_open(&memory))
        return 0;
    long got;
    do
        got = raw_call4(SYS_pread64, memory.file, out, size_bytes, address);
    while (own_again(&memory, got));
    return raw_failed(got) ? 0 : (size_t)got;
}

static bool own_is_there(const struct own_file *own)
{
    struct stat now;
    return !own->is_open || raw_failed(own->file) || fstat((int)own->file, &now) != 0 ||
           (now.st_dev == own->device && now.st_ino == own->inode);
}

bool memory_files_are_there(void)
{
    return own_is_there(&memory) && own_is_there(&status) && own_is_there(&pagemap);
}

bool memory_could_be_seen(void)
{
    return !(memory.is_open && raw_failed(memory.file)) &&
           !(status.is_open && raw_failed(status.file));
}

bool memory_try(void (*access)(void *arg), void *arg)
{
    const struct machine *m = machine_current();
    return m != NULL && m->frame != NULL && trap_probe(m->frame, access, arg);
}

/* ---- every byte of a range ---- */

struct visit {
    memory_visitor *visit;
    void *arg;
    uintptr_t address;
    size_t size_bytes;
    bool more;
};

static void visit_directly(void *arg)
{
    struct visit *v = arg;
    v->more = v->visit(v->arg, v->address, (const unsigned char *)v->address, v->size_bytes);
}

/* Through the kernel, which reads memory without access, too, but not that of memfd_secret. */
static void visit_copies(struct visit *v)
{
    static unsigned char bytes[CHUNK_BYTES];
    for (size_t done = 0; v->more && done < v->size_bytes;) {
        size_t left = v->size_bytes - done;
        uintptr_t at = v->address + done;
        size_t got = memory_read(at, bytes, left < CHUNK_BYTES ? left : CHUNK_BYTES);
        if (got != 0)
            v->more = v->visit(v->arg, at, bytes, got);
        done += got != 0 ? got : PAGE_BYTES_MIN - at % PAGE_BYTES_MIN;
    }
}

/* Can all of it be read? As the kernel says: nothing traps, for the subject may have the handler of that. */
static bool is_readable(uintptr_t address, size_t size_bytes)
{
    uintptr_t first = address & ~(uintptr_t)(PAGE_BYTES_MIN - 1);
    return MAY_READ_DIRECTLY && !is_child && trap_has_frame() &&
           raw_call3(SYS_madvise, first, address + size_bytes - first, MADV_POPULATE_READ) == 0;
}

static void visit_piece(struct visit *v)
{
    if (!is_readable(v->address, v->size_bytes) || !memory_try(visit_directly, v))
        visit_copies(v);
}

/* The pieces of a range that have ever been touched. False: that cannot be said. */
static bool visit_touched(struct visit *whole)
{
    struct scan_region regions[REGIONS];
    uintptr_t mask = ~(uintptr_t)(PAGE_BYTES_MIN - 1);
    uintptr_t end = whole->address + whole->size_bytes;
    struct scan scan = {.size = sizeof scan,
                        .start = whole->address & mask,
                        .end = (end + PAGE_BYTES_MIN - 1) & mask,
                        .vec = (uintptr_t)regions,
                        .vec_len = REGIONS,
                        .category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
                        .return_mask = SCAN_PRESENT | SCAN_SWAPPED};
    while (scan.start < scan.end && whole->more) {
        long count = raw_call3(SYS_ioctl, pagemap.file, SCAN_CALL, &scan);
        if (own_again(&pagemap, count))
            continue;
        if (raw_failed(count))
            return false;
        for (long i = 0; i < count && whole->more; i++) {
            uintptr_t from = regions[i].start > whole->address ? regions[i].start : whole->address;
            uintptr_t to = regions[i].end < end ? regions[i].end : end;
            struct visit piece = *whole;
            piece.address = from;
            piece.size_bytes = to - from;
            visit_piece(&piece);
            whole->more = piece.more;
        }
        scan.start = scan.walk_end;
    }
    return true;
}

void memory_visit(uintptr_t address, size_t size_bytes, memory_visitor *visit, void *arg)
{
    struct visit whole = {
        .visit = visit, .arg = arg, .address = address, .size_bytes = size_bytes, .more = true};
    bool may_skip = size_bytes >= SPARSE_BYTES_MIN && ledger_counts().shared == shared_before &&
                    own_open(&pagemap);
    if (!may_skip || !visit_touched(&whole))
        visit_piece(&whole);
}

/* ---- locks ---- */

uint64_t memory_locked_bytes(void)
{
    char text[4096] = "";
    if (!own_open(&status))
        return UINT64_MAX;
    long got;
    do
        got = raw_call4(SYS_pread64, status.file, text, sizeof text - 1, 0);
    while (own_again(&status, got));
    if (raw_failed(got))
        return UINT64_MAX;
    text[got] = '\0';
    const char *line = strstr(text, "VmLck:");
    return line == NULL ? UINT64_MAX : strtoull(line + strlen("VmLck:"), NULL, 10) << 10;
}

uint64_t memory_loading(void)
{
    uint64_t locked_bytes = memory_locked_bytes();
    own_close(
        &status); /* the subject may close all files, and the process that runs programs may be a child of this one */
    shared_before = ledger_counts().shared;
    return locked_bytes;
}

bool memory_locks_more_than(uint64_t locked_bytes)
{
    uint64_t limit[2], lowered[2]; /* soft, hard: as prlimit64 has it */
    if (raw_call4(SYS_prlimit64, 0, RLIMIT_MEMLOCK, 0, limit) != 0)
        return true;
    lowered[0] = locked_bytes + 1; /* under a limit of 0 nothing may be asked at all */
    lowered[1] = limit[1];
    if (lowered[0] > lowered[1] || raw_call4(SYS_prlimit64, 0, RLIMIT_MEMLOCK, lowered, 0) != 0)
        return true;
    bool more = raw_call2(SYS_mlock, 0, 0) != 0;
    raw_call4(SYS_prlimit64, 0, RLIMIT_MEMLOCK, limit, 0);
    return more;
}

bool memory_limit_can_be_asked(void)
{
    size_t page_bytes = (size_t)getauxval(AT_PAGESZ);
    uint64_t before = memory_locked_bytes();
    long page = raw_map_anonymous(page_bytes);
    if (raw_failed(page))
        return false;
    bool quiet = !memory_locks_more_than(before);
    bool locked = raw_call2(SYS_mlock, page, page_bytes) == 0;
    bool told = memory_locks_more_than(before) && !memory_locks_more_than(before + page_bytes);
    raw_call2(SYS_munmap, page, page_bytes);
    quiet = quiet && !memory_locks_more_than(before);
    own_close(&status); /* the process that runs programs may be a child of this one */
    return quiet && locked && told;
}

bool memory_locks_can_be_seen(void)
{
    return raw_call3(SYS_madvise, 0, 0, MADV_PAGEOUT) == 0;
}

size_t memory_pages_unlocked(uintptr_t address, size_t size_bytes, uintptr_t *first_page)
{
    uintptr_t page_bytes = (uintptr_t)getauxval(AT_PAGESZ), mask = ~(page_bytes - 1);
    size_t unlocked = 0;
    if (size_bytes == 0)
        return 0;
    uintptr_t last = (address + size_bytes - 1) & mask;
    uintptr_t page = address & mask;
    for (size_t asked = 1; page <= last && page >= (address & mask); page += page_bytes, asked++) {
        if (asked == PAGES_ASKED && last - page > PAGES_ASKED * page_bytes)
            page = last - PAGES_ASKED * page_bytes;
        if (raw_call3(SYS_madvise, page, page_bytes, MADV_PAGEOUT) == -EINVAL)
            continue;
        if (unlocked++ == 0)
            *first_page = page;
    }
    return unlocked;
}
