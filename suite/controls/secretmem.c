/* SPDX-License-Identifier: MIT */
/*
 * secretmem.c: the control that must pass where memory is promised that nobody else can read: each
 * secret has a memfd_secret mapping of its own, and the descriptor is closed at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "contract/strongroom.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

static size_t pages_bytes(size_t n)
{
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    return n > SIZE_MAX - page_bytes ? 0 : (n / page_bytes + 1) * page_bytes;
}

static int open_all(const struct secret_config *config, void **context)
{
    (void)config;
    *context = NULL;
    return 0;
}

/* memfd_secret(2): pages are locked by their nature; past the limit mmap says EAGAIN. */
static void *allocate(void *context, size_t n)
{
    size_t bytes = pages_bytes(n);
    int fd = bytes == 0 ? -1 : (int)syscall(SYS_memfd_secret, (unsigned)O_CLOEXEC);
    void *p = MAP_FAILED;
    (void)context;
    if (bytes == 0)
        errno = ENOMEM;
    if (fd >= 0 && ftruncate(fd, (off_t)bytes) == 0)
        p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0) {
        int error = errno;
        close(fd);
        errno = error;
    }
    return p == MAP_FAILED ? NULL : p;
}

static void release(void *context, void *p, size_t n)
{
    (void)context;
    explicit_bzero(p, n);
    munmap(p, pages_bytes(n));
}

static const char *const claims[] = {"unreadable", NULL};

static const struct secret_alloc secretmem = {
    .size = sizeof secretmem,
    .name = "control-secretmem",
    .version = "1",
    .library = "control-secretmem",
    .claims = claims,
    .open = open_all,
    .alloc = allocate,
    .free = release,
};

const struct secret_alloc *const *strongroom_subjects(uint32_t abi_major)
{
    static const struct secret_alloc *const subjects[] = {&secretmem, NULL};
    return abi_major == STRONGROOM_ABI_MAJOR ? subjects : NULL;
}
