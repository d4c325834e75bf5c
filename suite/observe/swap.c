/* SPDX-License-Identifier: MIT */
/* swap.c: see swap.h; swapon(2), process_madvise(2), include/linux/swap.h for the header. */
#include "suite/observe/swap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

#define FILE_BYTES ((size_t)16 << 20)
#define CHUNK_BYTES ((size_t)1 << 20)
#define WAIT_ROUNDS 200 /* of 10 ms, for our own page to arrive */
#define REST_ROUNDS 500 /* of 10 ms, for all that was written beside it */

static bool say_why(char *why, size_t why_bytes, const char *what, int error)
{
    (void)snprintf(why, why_bytes, "%s%s%s", what, error != 0 ? ": " : "",
                   error != 0 ? strerror(error) : "");
    return false;
}

/* ---- may we? ---- */

static bool another_is_active(void)
{
    char line[256];
    FILE *file = fopen("/proc/swaps", "re");
    unsigned lines = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        lines++;
    if (file != NULL)
        (void)fclose(file);
    return lines != 1; /* its heading; 0: it cannot be known */
}

static bool zswap_is_on(void)
{
    FILE *file = fopen("/sys/module/zswap/parameters/enabled", "re");
    int on = file != NULL ? fgetc(file) : 'N';
    if (file != NULL)
        (void)fclose(file);
    return on == 'Y';
}

/* ---- the file ---- */

/* Version 1: a page of header, which ends with the magic, then page slots. */
static bool header_write(struct swap *swap)
{
    memset(swap->buffer, 0, swap->page_bytes);
    uint32_t info[] = {1, (uint32_t)(FILE_BYTES / swap->page_bytes - 1), 0};
    memcpy(swap->buffer + 1024, info, sizeof info);
    memcpy(swap->buffer + swap->page_bytes - 10, "SWAPSPACE2", 10);
    return pwrite(swap->fd, swap->buffer, swap->page_bytes, 0) == (ssize_t)swap->page_bytes;
}

static bool zeros_write(struct swap *swap)
{
    memset(swap->buffer, 0, CHUNK_BYTES);
    for (size_t at = 0; at < FILE_BYTES; at += CHUNK_BYTES)
        if (pwrite(swap->fd, swap->buffer, CHUNK_BYTES, (off_t)at) != (ssize_t)CHUNK_BYTES)
            return false;
    return true;
}

static bool activate(struct swap *swap)
{
    return zeros_write(swap) && header_write(swap) && fsync(swap->fd) == 0 &&
           swapon(swap->path, 0) == 0;
}

bool swap_renew(struct swap *swap)
{
    return swapoff(swap->path) == 0 && activate(swap);
}

/* ---- the guardian ---- */

_Noreturn static void guard(const char *path, int alive_fd)
{
    char byte;
    (void)setsid();
    while (read(alive_fd, &byte, 1) < 0 && errno == EINTR)
        ;
    (void)swapoff(path); /* EINVAL: it is off already, as it should be */
    (void)unlink(path);
    _exit(0);
}

static bool guardian_start(struct swap *swap)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    swap->guardian = fork();
    if (swap->guardian == 0) {
        (void)close(ends[1]);
        guard(swap->path, ends[0]);
    }
    (void)close(ends[0]);
    swap->alive_fd = ends[1];
    return swap->guardian > 0;
}

/* ---- open and close ---- */

static bool file_make(struct swap *swap)
{
    const char *folder = getenv("TMPDIR");
    (void)snprintf(swap->path, sizeof swap->path, "%s/strongroom-swap-%d",
                   folder != NULL && folder[0] == '/' ? folder : "/var/tmp", (int)getpid());
    swap->fd = open(swap->path, O_RDWR | O_CREAT | O_EXCL | O_DIRECT | O_CLOEXEC, 0600);
    return swap->fd >= 0;
}

bool swap_open(struct swap *swap, size_t page_bytes, char *why, size_t why_bytes)
{
    *swap = (struct swap){.fd = -1, .alive_fd = -1, .guardian = -1, .page_bytes = page_bytes};
    if (geteuid() != 0)
        return say_why(why, why_bytes, "a swap file needs root", 0);
    if (another_is_active())
        return say_why(why, why_bytes, "another swap area is active", 0);
    if (zswap_is_on())
        return say_why(why, why_bytes, "zswap keeps pages from the swap file", 0);
    swap->buffer = aligned_alloc(CHUNK_BYTES, CHUNK_BYTES);
    swap->control =
        mmap(NULL, page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (swap->buffer == NULL || swap->control == MAP_FAILED || !file_make(swap) ||
        !guardian_start(swap) || !activate(swap)) {
        int error = errno;
        swap_close(swap);
        return say_why(why, why_bytes, "no swap file can be had", error);
    }
    return true;
}

void swap_close(struct swap *swap)
{
    if (swap->path[0] != '\0') {
        (void)swapoff(swap->path);
        (void)unlink(swap->path);
    }
    if (swap->alive_fd >= 0)
        (void)close(swap->alive_fd);
    if (swap->guardian > 0)
        while (waitpid(swap->guardian, NULL, 0) < 0 && errno == EINTR)
            ;
    if (swap->fd >= 0)
        (void)close(swap->fd);
    if (swap->control != NULL && swap->control != MAP_FAILED)
        (void)munmap(swap->control, swap->page_bytes);
    free(swap->buffer);
    *swap = (struct swap){.fd = -1, .alive_fd = -1, .guardian = -1};
}

/* ---- pushing out ---- */

static void push_out(int pidfd, uint64_t start, uint64_t end)
{
    struct iovec range = {(void *)(uintptr_t)start, (size_t)(end - start)};
    (void)syscall(SYS_process_madvise, pidfd, &range, 1, MADV_PAGEOUT, 0); /* locked: EINVAL */
}

/* Mapping by mapping: one that is locked must not keep the others in. */
static bool process_push_out(pid_t pid)
{
    char path[64], line[512];
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    (void)snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "re");
    while (pidfd >= 0 && maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        unsigned long start, end;
        if (sscanf(line, "%lx-%lx", &start, &end) == 2)
            push_out(pidfd, start, end);
    }
    bool good = pidfd >= 0 && maps != NULL;
    if (maps != NULL)
        (void)fclose(maps);
    if (pidfd >= 0)
        (void)close(pidfd);
    return good;
}

/* ---- looking ---- */

static bool chunk_read(struct swap *swap, size_t at)
{
    return pread(swap->fd, swap->buffer, CHUNK_BYTES, (off_t)at) == (ssize_t)CHUNK_BYTES;
}

static bool control_is_there(struct swap *swap, const uint8_t *bytes, size_t size_bytes)
{
    for (size_t at = 0; at < FILE_BYTES && chunk_read(swap, at); at += CHUNK_BYTES)
        for (size_t page = 0; page < CHUNK_BYTES; page += swap->page_bytes)
            if (memcmp(swap->buffer + page, bytes, size_bytes) == 0)
                return true;
    return false;
}

/* Pushes a page with new bytes out, and waits for it to arrive. */
static bool control_arrives(struct swap *swap)
{
    uint8_t bytes[64];
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        return false;
    memcpy(swap->control, bytes, sizeof bytes);
    for (int round = 0; round < WAIT_ROUNDS; round++) {
        (void)madvise(swap->control, swap->page_bytes, MADV_PAGEOUT);
        if (control_is_there(swap, bytes, sizeof bytes))
            return true;
        (void)usleep(10000);
    }
    return false;
}

/* Pages arrive in any order: what was pushed out has arrived once no page at all is being written,
 * which is so in between even on a busy machine. */
static bool writes_rest(void)
{
    for (int round = 0; round < REST_ROUNDS; round++) {
        char line[128];
        long pages = -1;
        FILE *file = fopen("/proc/vmstat", "re");
        while (file != NULL && pages < 0 && fgets(line, sizeof line, file) != NULL)
            (void)sscanf(line, "nr_writeback %ld", &pages);
        if (file != NULL)
            (void)fclose(file);
        if (pages == 0)
            return true;
        (void)usleep(10000);
    }
    return false;
}

static bool chunk_search(const struct swap *swap, size_t at, const struct secrets *secrets,
                         swap_found *found, void *arg)
{
    uint32_t position = 0;
    for (size_t i = 0; i + SECRETS_WINDOW_BYTES <= CHUNK_BYTES; i++) {
        size_t none = secrets_none(swap->buffer + i);
        if (none > 0)
            i += none - 1;
        else if (secrets_find(secrets, swap->buffer + i, &position) &&
                 !found(arg, at + i, position++))
            return false;
    }
    return true;
}

bool swap_search(struct swap *swap, pid_t pid, const struct secrets *secrets, swap_found *found,
                 void *arg)
{
    if (!process_push_out(pid) || !control_arrives(swap) || !writes_rest())
        return false;
    for (size_t at = 0; at < FILE_BYTES; at += CHUNK_BYTES)
        if (!chunk_read(swap, at))
            return false;
        else if (!chunk_search(swap, at, secrets, found, arg))
            break;
    return true;
}
