/* SPDX-License-Identifier: MIT */
/* self.c: see self.h. */
#include "fuzz/self.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "model/machine.h"
#include "model/raw.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif
#define PAGES_ASKED 64u /* at each end */

/* A file of this process's own under /proc. */
struct own_file {
    const char *path;
    bool is_open;
    long file;
};
static struct own_file memory = {.path = "/proc/self/mem"};
static struct own_file status = {.path = "/proc/self/status"};

void memory_forked(void)
{
    memory.is_open = status.is_open = false;
}

static bool own_open(struct own_file *own)
{
    if (own->is_open)
        return !raw_failed(own->file);
    own->is_open = true;
    own->file = raw_call4(SYS_openat, AT_FDCWD, own->path, O_RDONLY | O_CLOEXEC, 0);
    return !raw_failed(own->file);
}

size_t memory_read(uintptr_t address, void *out, size_t size_bytes)
{
    if (!own_open(&memory))
        return 0;
    long got = raw_call4(SYS_pread64, memory.file, out, size_bytes, address);
    return raw_failed(got) ? 0 : (size_t)got;
}

bool memory_try(void (*access)(void *arg), void *arg)
{
    const struct machine *m = machine_current();
    return m != NULL && m->frame != NULL && trap_probe(m->frame, access, arg);
}

uint64_t memory_locked_bytes(void)
{
    char text[4096] = "";
    if (!own_open(&status))
        return UINT64_MAX;
    long got = raw_call4(SYS_pread64, status.file, text, sizeof text - 1, 0);
    if (raw_failed(got))
        return UINT64_MAX;
    text[got] = '\0';
    const char *line = strstr(text, "VmLck:");
    return line == NULL ? UINT64_MAX : strtoull(line + strlen("VmLck:"), NULL, 10) << 10;
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
