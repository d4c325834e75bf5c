/* SPDX-License-Identifier: MIT */
/*
 * self.h: this process's own memory, looked at without touching it, and its locks.
 *
 * Bytes are read through /proc/self/mem, which also shows pages without access and says EIO where
 * nothing is mapped. It belongs to the process that opened it, and fuzzers fork: it is opened when it is
 * first needed, and again where memory_forked was called. Everything here is raw and async-signal-safe.
 */
#ifndef FUZZ_SELF_H
#define FUZZ_SELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads up to size_bytes at address. How many could be read: 0 where nothing is mapped, or where the
 * kernel itself cannot look (memfd_secret). */
size_t memory_read(uintptr_t address, void *out, size_t size_bytes);
/* Are these files still those that were opened here? A subject that closes the files of others may have got another
 * under the number of one; one that is closed only is opened again. */
bool memory_files_are_there(void);
/* False: this was asked for what it could not look at, and what it said is worth nothing. */
bool memory_could_be_seen(void);
/* Before the subject is loaded: what is mapped from here on may be its own. Returns the bytes that are locked already. */
uint64_t memory_loading(void);
/* In a forked child, before anything else here. */
void memory_forked(void);
/* Calls access(arg), which touches memory of the subject's; false if that trapped. For memory that should be
 * accessible this is ten times faster than to ask the kernel. Only while a program runs. */
bool memory_try(void (*access)(void *arg), void *arg);
/* Told of a piece of memory: size_bytes at bytes, which lie at `at` or are a copy of what does. False: enough. */
typedef bool memory_visitor(void *arg, uintptr_t at, const unsigned char *bytes, size_t size_bytes);
/* Calls visit for all of a range that can be read, piece by piece; a piece ends where memory cannot be read, or was
 * never touched: such memory is zero if it is private. A word that lies across two pieces is not seen whole. */
void memory_visit(uintptr_t address, size_t size_bytes, memory_visitor *visit, void *arg);

/* VmLck in bytes; UINT64_MAX if it cannot be read. */
uint64_t memory_locked_bytes(void);
/* Is VmLck above so many bytes? Ten times faster: the limit is lowered for the moment in which the kernel is asked to
 * lock nothing, which it refuses when more than that is locked. Without CAP_IPC_LOCK only. */
bool memory_locks_more_than(uint64_t locked_bytes);
/* Does that work here? Locks a page for a moment. */
bool memory_limit_can_be_asked(void);
/* How many of the pages that hold a byte of the range are not locked, by MADV_PAGEOUT; of a long
 * range the 64 pages at each end are asked. first_page: the first such page. */
size_t memory_pages_unlocked(uintptr_t address, size_t size_bytes, uintptr_t *first_page);
/* Does this kernel know MADV_PAGEOUT? Otherwise nothing can be said of locks. */
bool memory_locks_can_be_seen(void);

#endif
