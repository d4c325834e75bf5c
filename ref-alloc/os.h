/*
 * os.h - every system call that ref-alloc makes, and nothing else.
 *
 * All are issued through syscall(2): the sanitizers turn the C library's mlock into a function that does
 * nothing and returns 0, and a lock that is not real is the one thing this allocator may not believe in.
 * Each returns true on success, or false with errno set by the kernel. Addresses and lengths are whole pages.
 */
#ifndef OS_H
#define OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

enum os_access { OS_NONE, OS_READ, OS_READ_WRITE };

size_t os_page_bytes(void);

/* Address space without memory: inaccessible, not counted against any limit. */
bool os_reserve(size_t size_bytes, unsigned char **address);
/* The same, in place of whatever is mapped at `address`. */
bool os_reserve_at(unsigned char *address, size_t size_bytes);
/* Reserves addresses where nothing is mapped, so that nothing comes there; does nothing where something is. */
void os_hold(unsigned char *address, size_t size_bytes);
/* memfd_secret(2) pages, read-write, in place of what is mapped at `address`. Locked by their nature. */
bool os_map_secret_at(unsigned char *address, size_t size_bytes);
bool os_has_secret_memory(void);
/* Has the kernel write something to each page. false and ENOMEM where there is no memory for one. */
bool os_populate(unsigned char *address, size_t size_bytes, size_t page_bytes);
bool os_unmap(unsigned char *address, size_t size_bytes);

bool os_protect(unsigned char *address, size_t size_bytes, enum os_access access);
bool os_lock(unsigned char *address, size_t size_bytes);
bool os_unlock(unsigned char *address, size_t size_bytes);
/* Gives the memory back to the kernel, keeping the addresses. Refused (EINVAL) on locked pages. */
bool os_discard(unsigned char *address, size_t size_bytes);

bool os_exclude_from_dump(unsigned char *address, size_t size_bytes);
bool os_wipe_on_fork(unsigned char *address, size_t size_bytes);
bool os_absent_on_fork(unsigned char *address, size_t size_bytes);

/* The soft RLIMIT_MEMLOCK, SIZE_MAX if there is none. */
bool os_lock_limit(size_t *limit_bytes);
bool os_random(void *buffer, size_t size_bytes);

/* errno is kept. */
void os_yield(void);
void os_sleep_a_moment(void);

#pragma GCC visibility pop

#endif
