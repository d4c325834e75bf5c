/* SPDX-License-Identifier: MIT */
/*
 * subject.h: loads a subject and checks its tables before any of its entries is called.
 */
#ifndef MODEL_SUBJECT_H
#define MODEL_SUBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "contract/strongroom.h"

#define MODEL_VARIANTS_MAX 32u
#define MODEL_CLAIMS_MAX 64u
#define MODEL_CLAIM_BYTES 32u /* a promise id with its terminator */

/* Optional entries, as a set: which promises can be asked for depends on them. */
enum model_entry {
    MODEL_ENTRY_CLOSE = 1,
    MODEL_ENTRY_RESIZE = 2,
    MODEL_ENTRY_ALLOC_ALIGNED = 4,
    MODEL_ENTRY_USABLE = 8,
    MODEL_ENTRY_PROTECT = 16,
    MODEL_ENTRY_LOCKED_BYTES = 32
};

struct model_subject {
    void *handle; /* of dlopen; never closed: the process runs one case. NULL: a program's own */
    size_t count; /* variants */
    struct secret_alloc
        variants[MODEL_VARIANTS_MAX]; /* zero-filled past what each one's size covers */
};

/* Loads the shared object at path and copies its tables, min(its size, ours) bytes of each.
 * On failure false, and error holds one line that names what is wrong:
 *   "not a shared object: ...", "does not export strongroom_subjects",
 *   "does not serve contract version 1", "variant 0: required entry 'alloc' is missing",
 *   "variant 'x': claims 'zero-on-resize', which needs the entry 'resize'", ...
 * No entry has been called in either case. */
bool model_subject_load(struct model_subject *subject, const char *path, char *error,
                        size_t error_bytes);
/* The same for tables that are there already; NULL: the contract's version is not served. */
bool model_subject_take(struct model_subject *subject, const struct secret_alloc *const *tables,
                        char *error, size_t error_bytes);
/* Writes what + why, made printable, as the one line of error. Returns false. */
bool model_subject_refuse(char *error, size_t error_bytes, const char *what, const char *why);
/* The variant of that name, or the only one if name is NULL or empty; NULL if there is none. */
const struct secret_alloc *model_subject_find(const struct model_subject *subject,
                                              const char *name);
/* Which optional entries a variant offers: a set of enum model_entry. */
unsigned model_subject_entries(const struct secret_alloc *variant);
/* The entries that the promise of this id needs; 0 for one that needs none or is not known here. */
unsigned model_claim_entries(const char *promise_id);

#endif
