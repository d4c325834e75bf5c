/* SPDX-License-Identifier: MIT */
/*
 * run.h: runs promises against subjects, cases side by side on all cores, and judges.
 */
#ifndef SUITE_RUN_H
#define SUITE_RUN_H

#include "promise.h"
#include "result.h"

#define DEFAULT_TIMEOUT_MS 5000u /* for one case, which takes some milliseconds */

struct run_settings {
    const char *const *subjects; /* names, library names or paths of .so; NULL-terminated.
                                  * NULL: every subject that was found */
    const char *const *only;     /* promise ids; NULL: all */
    const char *const *skip;     /* promise ids that are left out; NULL: none */
    bool skip_slow;              /* and so are the slow ones, unless only names them */
    bool quick;                  /* a few sizes */
    bool allow_swap;             /* the host may be given a swap file meanwhile */
    const char *only_case;       /* label of the only case to run; NULL: all */
    unsigned jobs;               /* cases side by side; 0: as many as there are cores */
    unsigned timeout_ms;         /* for one case; 0: the default */
    uint64_t seed;
    bool seeded; /* false: take a seed from getrandom */
    /* Called from one thread at a time, at most ten times a second: what runs now. */
    void (*progress)(void *arg, size_t done, size_t all, const char *subject, const char *promise);
    void *progress_arg;
};

/* Runs it all. False when the settings are unusable or the harness cannot start: error then holds
 * one line ("unknown subject 'x': ...", "x.so: does not export strongroom_subjects"), nothing has
 * been judged, and the caller exits with 2. */
bool run(const struct run_settings *settings, struct run_result *result, char *error,
         size_t error_bytes);

/* One subject that was found: a variant in a shared object. */
struct catalog_entry {
    struct subject_result subject; /* without verdicts */
    unsigned flags, entries;       /* secret_alloc.flags, set of enum model_entry */
};
/* Looks at every subject found beside the program (loading happens in a process of its own).
 * The caller frees the arrays. */
bool catalog_list(struct catalog_entry **entries, size_t *count, struct skipped_subject **skipped,
                  size_t *skipped_count, char *error, size_t error_bytes);

/* Prints one program (text or bytes, from a file) as text. False, and error says why. */
bool replay_print(const char *program_path, char *error, size_t error_bytes);
/* Runs one program (text or bytes, from a file) on one subject, on this variant of it (NULL: on the only
 * one), and prints what each operation did and what was observed, a line each. Exit status: 0 ran to its
 * end, 1 the subject died or hung or a promise of the shadow model was broken, 2 harness or arguments. */
int replay(const char *program_path, const char *subject, const char *variant,
           const struct run_settings *settings, char *error, size_t error_bytes);

#endif
