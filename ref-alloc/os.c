/* os.c - see os.h. Kernel facts cite the man page, section 2, or the file of Linux that decides. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Older headers than the kernels we run on. The numbers are the same on every architecture (include/uapi). */
#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif
#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

/* i386 passes the offset in units of 4096 bytes (mmap2(2)); we only ever map at offset 0. */
#ifdef SYS_mmap2
#define SYS_MAP SYS_mmap2
#else
#define SYS_MAP SYS_mmap
#endif

size_t os_page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static bool map(unsigned char *at, size_t size_bytes, int protection, int flags, int fd,
                unsigned char **address)
{
    long result = syscall(SYS_MAP, at, size_bytes, protection, flags, fd, 0L);
    if (result == -1)
        return false;
    *address = (unsigned char *)result;
    return true;
}

bool os_reserve(size_t size_bytes, unsigned char **address)
{
    return map(NULL, size_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
               address);
}

bool os_reserve_at(unsigned char *address, size_t size_bytes)
{
    return map(address, size_bytes, PROT_NONE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, &address);
}

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

/* A kernel that doesn't know the flag takes the address for a wish (mmap(2)): then it is given back. */
void os_hold(unsigned char *address, size_t size_bytes)
{
    unsigned char *held;
    if (map(address, size_bytes, PROT_NONE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, &held) &&
        held != address)
        os_unmap(held, size_bytes);
}

static bool memfd_secret(int *fd)
{
    long result = syscall(SYS_memfd_secret, (unsigned)O_CLOEXEC);
    *fd = (int)result;
    return result != -1;
}

static void close_keeping_errno(int fd)
{
    int saved = errno;
    syscall(SYS_close, fd);
    errno = saved;
}

bool os_has_secret_memory(void)
{
    int fd;
    if (!memfd_secret(&fd))
        return false;
    close_keeping_errno(fd);
    return true;
}

/* The descriptor is closed at once: nothing but the mapping can reach the pages then (memfd_secret(2)). */
bool os_map_secret_at(unsigned char *address, size_t size_bytes)
{
    int fd;
    if (!memfd_secret(&fd))
        return false;
    bool mapped =
        syscall(SYS_ftruncate, fd, (long)size_bytes) == 0 &&
        map(address, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, &address);
    close_keeping_errno(fd);
    return mapped;
}

/*
 * The kernel answers EFAULT where a touch of our own would end in SIGBUS. MADV_POPULATE_WRITE would be one call for
 * all pages, but is refused on such memory (EINVAL, seen on Linux 6.18), so it is getrandom that writes.
 */
bool os_populate(unsigned char *address, size_t size_bytes, size_t page_bytes)
{
    for (size_t i = 0; i < size_bytes; i += page_bytes) {
        if (!os_random(address + i, 1)) {
            errno = ENOMEM;
            return false;
        }
    }
    return true;
}

bool os_unmap(unsigned char *address, size_t size_bytes)
{
    return syscall(SYS_munmap, address, size_bytes) == 0;
}

bool os_protect(unsigned char *address, size_t size_bytes, enum os_access access)
{
    static const int protections[] = {
        [OS_NONE] = PROT_NONE, [OS_READ] = PROT_READ, [OS_READ_WRITE] = PROT_READ | PROT_WRITE};
    return syscall(SYS_mprotect, address, size_bytes, protections[access]) == 0;
}

bool os_lock(unsigned char *address, size_t size_bytes)
{
    return syscall(SYS_mlock, address, size_bytes) == 0;
}

bool os_unlock(unsigned char *address, size_t size_bytes)
{
    return syscall(SYS_munlock, address, size_bytes) == 0;
}

/* Advices are numbers, not flags: each needs a call of its own (madvise(2)). */
static bool advise(unsigned char *address, size_t size_bytes, int advice)
{
    return syscall(SYS_madvise, address, size_bytes, advice) == 0;
}

bool os_discard(unsigned char *address, size_t size_bytes)
{
    return advise(address, size_bytes, MADV_DONTNEED);
}

bool os_exclude_from_dump(unsigned char *address, size_t size_bytes)
{
    return advise(address, size_bytes, MADV_DONTDUMP);
}

bool os_wipe_on_fork(unsigned char *address, size_t size_bytes)
{
    return advise(address, size_bytes, MADV_WIPEONFORK);
}

bool os_absent_on_fork(unsigned char *address, size_t size_bytes)
{
    return advise(address, size_bytes, MADV_DONTFORK);
}

/* prlimit64 has 64-bit fields on every architecture, getrlimit doesn't. */
bool os_lock_limit(size_t *limit_bytes)
{
    struct {
        uint64_t soft, hard;
    } limit = {0, 0};
    if (syscall(SYS_prlimit64, 0, RLIMIT_MEMLOCK, NULL, &limit) != 0)
        return false;
    *limit_bytes = limit.soft > SIZE_MAX ? SIZE_MAX : (size_t)limit.soft;
    return true;
}

/* Up to 256 bytes come whole or not at all (getrandom(2)). */
bool os_random(void *buffer, size_t size_bytes)
{
    return syscall(SYS_getrandom, buffer, size_bytes, 0U) == (long)size_bytes;
}

void os_yield(void)
{
    syscall(SYS_sched_yield);
}

/* Without a descriptor poll does nothing but sleep, and ppoll is there on every architecture. */
void os_sleep_a_moment(void)
{
    struct {
        long seconds, nanoseconds;
    } moment = {0, 50000};
    int saved = errno;
    syscall(SYS_ppoll, NULL, 0, &moment, NULL, 0);
    errno = saved;
}
