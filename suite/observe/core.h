/* SPDX-License-Identifier: MIT */
/*
 * core.h: a real core file of a case, in a folder of its own, searched and removed.
 */
#ifndef SUITE_OBSERVE_CORE_H
#define SUITE_OBSERVE_CORE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "suite/observe/secrets.h"

/* core(5): does core_pattern, which is the whole host's and is left alone, name a file in the working
 * directory of who dumps? If not, why holds one line. */
bool core_possible(char *why, size_t why_bytes);

/* Makes a folder in $TMPDIR, else /tmp, into which any user may write. */
bool core_folder_make(char folder[PATH_MAX]);
/* Removes it, and the core file in it. */
void core_folder_remove(const char *folder);

/* What was found in a core file. */
struct core_sight {
    uint64_t size_bytes; /* 0: there is none */
    bool marked;         /* the marker is in it: it is the core of the right process */
};

/* Called for each 8-byte window of secret bytes found; returns false to stop. */
typedef bool core_found(void *arg, uint64_t offset, uint32_t pool_position);
struct core_sight core_search(const char *folder, uint64_t marker, const struct secrets *secrets,
                              core_found *found, void *arg);

#endif
