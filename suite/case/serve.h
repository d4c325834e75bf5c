/* SPDX-License-Identifier: MIT */
/*
 * serve.h: the case's side of the protocol, the same for a subject that is loaded (main.c) and for a
 * program that brings its own tables (library.c).
 */
#ifndef SUITE_CASE_SERVE_H
#define SUITE_CASE_SERVE_H

#include "model/ledger.h"
#include "model/subject.h"

/* What differs between the two. */
struct case_surroundings {
    void *arg;
    bool is_program; /* the subject was there first, and may have threads */
    /* Fills in the tables; on failure false, and one line in error. path: where the subject is. */
    bool (*load)(void *arg, const char *path, struct model_subject *subject, char *error,
                 size_t error_bytes);
    /* What stands in for the filter where it cannot be had; NULL: nothing does. */
    void (*ledger_watch)(ledger_release *release, void *arg);
    uint64_t (*ledger_calls)(void);
};

/* Does what the supervisor started this process for, and ends it. Returns only if no supervisor did. */
void case_serve(const struct case_surroundings *around);

#endif
