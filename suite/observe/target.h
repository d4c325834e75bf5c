/* SPDX-License-Identifier: MIT */
/*
 * target.h: a stopped case as seen from outside: its memory, its maps, its locks.
 *
 * All through descriptors of its own /proc entries, which the case opens and passes over before
 * the subject is loaded: that needs no privilege and no ptrace permission.
 */
#ifndef SUITE_OBSERVE_TARGET_H
#define SUITE_OBSERVE_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "suite/observe/reach.h"
#include "suite/observe/secrets.h"

/* The memory of the case, or of a child of it. */
struct target_memory {
    int mem_fd, pagemap_fd; /* -1: not to be had */
    struct reach reach;     /* for what mem_fd does not show */
    size_t page_bytes;
};

struct target {
    pid_t pid;
    struct target_memory memory;
    int smaps_fd, status_fd; /* -1: not to be had */
    size_t page_bytes;
};

/* Copies up to size_bytes from address on; returns how many could be read without a gap. Also reads
 * pages that the case itself may not (PROT_NONE). */
size_t target_read(const struct target_memory *memory, uint64_t address, void *out,
                   size_t size_bytes);

/* How many of the bytes are not zero. */
size_t target_nonzero(const uint8_t *bytes, size_t size_bytes);

/* What a search through a range of memory came to. */
struct sight {
    uint64_t readable_bytes; /* of pages that hold something */
    uint64_t nonzero_bytes;
};

/* Called for each 8-byte window of secret bytes found; returns false to stop the search. */
typedef bool target_found(void *arg, uint64_t address, uint32_t pool_position);

/* Searches the range at every byte offset. written_only: it is of a private file, and pages that
 * nobody wrote to need not be looked at. */
struct sight target_search(const struct target_memory *memory, bool written_only,
                           const struct secrets *secrets, uint64_t address, uint64_t size_bytes,
                           target_found *found, void *arg);

/* VmLck of /proc/PID/status in bytes; UINT64_MAX if it cannot be read. */
uint64_t target_locked_bytes(const struct target *target);

/* The number of the process whose /proc entries these are, as its own namespace has it; -1 if that
 * cannot be read. */
int64_t target_pid(const struct target *target);

/* The effective capabilities of the case; 0 if they cannot be read. */
uint64_t target_capabilities(const struct target *target);

/* The lock of a range, by the flags of the mappings; and whether it is kept out of core files. */
struct target_locks {
    uint64_t pages, lo_pages, dd_pages;
    uint64_t first_unlocked; /* address of the first page without `lo`; 0: none */
    char map[192];           /* its line in smaps with its VmFlags, or "not mapped" */
    uint64_t first_dumped;   /* the same for `dd` */
    char dumped_map[192];
};
bool target_locks(const struct target *target, uint64_t address, uint64_t size_bytes,
                  struct target_locks *locks);

/* A line of smaps. */
struct target_mapping {
    uint64_t start, end;
    bool locked, not_dumped;
    bool private_file; /* a file's, of which what is written stays in the process */
    char head[120];    /* "7f..-7f.. rw-p ... [heap]" */
    char flags[56];    /* "rd wr mr mw me ac" */
};
/* Calls each() for every mapping, in order of address, until it returns false. False: smaps cannot
 * be read. */
bool target_mappings(const struct target *target,
                     bool (*each)(void *arg, const struct target_mapping *mapping), void *arg);

/* The end of the mapping that contains address; 0: none. */
uint64_t target_mapping_end(const struct target *target, uint64_t address);

#endif
