/* SPDX-License-Identifier: MIT */
/*
 * catalog.h: which subjects there are: found beside the program, or named by path.
 */
#ifndef SUITE_CATALOG_H
#define SUITE_CATALOG_H

#include "suite/run.h"
#include "suite/supervise.h"

/* A variant to be judged. */
struct candidate {
    struct variant variant;
    bool dead;       /* it never came to describe itself: it crashed, exited or hung when loaded */
    char death[320]; /* how */
};

struct candidates {
    size_t count, room;
    struct candidate *list;
};

/* Adds the variants of one shared object. False when it cannot be used; error then says why. */
bool candidates_add_file(struct candidates *candidates, const struct host *host, const char *path,
                         unsigned timeout_ms, char *error, size_t error_bytes);
/* Adds what a name (of a variant, or of a library: all its variants) or a path stands for. */
bool candidates_add(struct candidates *candidates, const struct host *host, const char *name,
                    unsigned timeout_ms, char *error, size_t error_bytes);
/* Adds every subject found beside the program. */
bool candidates_add_all(struct candidates *candidates, const struct host *host, unsigned timeout_ms,
                        char *error, size_t error_bytes);
void candidates_free(struct candidates *candidates);

/* Fills all of a result but the verdicts. */
void candidate_describe(const struct candidate *candidate, struct subject_result *result);

/* Subjects that could not be built here, from subjects/skipped.txt. */
size_t skipped_read(const struct host *host, struct skipped_subject **skipped);

#endif
