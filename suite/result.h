/* SPDX-License-Identifier: MIT */
/*
 * result.h: what a run found: the one structure that every report is made from.
 *
 *     run_result -> subject_result (one per variant) -> verdict_record (one per promise)
 */
#ifndef SUITE_RESULT_H
#define SUITE_RESULT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct promise;

enum verdict {
    VERDICT_HOLDS,
    VERDICT_BROKEN,         /* claimed, or core, and seen not to hold */
    VERDICT_NOT_OFFERED,    /* neither claimed nor seen, or its entry is absent */
    VERDICT_NOT_OBSERVABLE, /* the observer cannot be installed here, or nothing could be looked at */
    VERDICT_ERROR,          /* the harness failed, or an observer failed its own control */
    VERDICTS
};

/* "holds", "broken", "not offered", "not observable here", "error" */
const char *verdict_name(enum verdict verdict);

/* What a verdict rests on. Holds no byte of a secret. */
struct evidence {
    char summary[320];   /* one line for people: what was seen, where; with numbers and units */
    unsigned cases;      /* programs run */
    unsigned kept;       /* looked at and found right */
    unsigned broken;     /* looked at and found wrong */
    unsigned refused;    /* the subject said no cleanly (errno), so there was nothing to look at */
    unsigned unseen;     /* could not be looked at for another reason, which summary names */
    uint64_t elapsed_ms; /* the sum over its cases, of which several run side by side */
    json_t *details;     /* object: addresses, distances, map lines, sizes; owned; never NULL */
};

struct verdict_record {
    const struct promise *promise;
    enum verdict verdict;
    bool claimed;
    bool unasked; /* to look would change the host, and nobody asked for it: it is not owed */
    struct evidence evidence;
    struct evidence positive; /* the control that must be seen to break it */
    struct evidence negative; /* the control that must be seen to keep it */
    char repeat[512]; /* the command that runs the deciding case alone; "" if none decided */
};

struct subject_result {
    char name[64], library[64], version[64];
    char path[512]; /* of the shared object, or of the program */
    bool is_program;
    char **claims; /* NULL-terminated; owned */
    size_t count;  /* verdicts, in the order of the promises asked for */
    struct verdict_record *verdicts;
    size_t totals[VERDICTS];
};

/* A subject that is known but cannot be judged on this machine, and what would add it. */
struct skipped_subject {
    char name[64], reason[256];
};

struct host_facts {
    char kernel[128], machine[32], user[32]; /* user: "root" or "uid 1000" */
    long page_bytes;
    unsigned cores;
    uint64_t memlock_soft_bytes, memlock_hard_bytes; /* UINT64_MAX: unlimited */
    json_t *observers; /* object: observer name -> "available" or the reason why not; owned */
};

struct run_result {
    struct host_facts host;
    uint64_t seed;
    uint64_t elapsed_ms;
    unsigned cases;
    json_t *operations; /* object: name -> how often it was carried out, over all cases; owned */
    json_t *looks; /* object: kind of observation -> how often it was made, over all cases; owned */
    size_t count;
    struct subject_result *subjects;
    size_t skipped_count;
    struct skipped_subject *skipped;
    size_t sizes_count; /* the sweep, in its symbolic form and in bytes */
    char (*sizes)[24];
    size_t *sizes_bytes;
};

/* Both free what the structure owns, not the structure itself. */
void subject_result_free(struct subject_result *subject);
void run_result_free(struct run_result *result);

/* What the exit status of `verify` is made of: of the core and claimed promises, how many were
 * what. errors counts those of every promise. */
struct gate {
    int status;
    size_t owed; /* core or claimed */
    size_t holds, broken, not_offered, errors;
    size_t unobserved; /* not observable here, and not allowed */
    size_t allowed;    /* not observable here, and allowed */
};
/* Core or claimed, not observable here, and not allowed to be. */
bool verdict_is_unobserved(const struct verdict_record *record, const char *const *allowed);
struct gate run_result_weigh(const struct run_result *result, const char *const *allowed);

/* The exit status of `verify`: 0 every core and claimed promise holds; 1 something is broken; 2 any
 * error; 3 nothing is broken, but a core or claimed promise was not observable and is not in
 * allowed (NULL-terminated ids; NULL: none). compare: 0, or 2 on any error. */
int run_result_gate(const struct run_result *result, const char *const *allowed);
int run_result_compared(const struct run_result *result);

#endif
