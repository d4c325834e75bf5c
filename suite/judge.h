/* SPDX-License-Identifier: MIT */
/*
 * judge.h: from what was seen to a verdict: helpers for the files in promises/, and the rules that
 * are the same for every promise.
 */
#ifndef SUITE_JUDGE_H
#define SUITE_JUDGE_H

#include "suite/promise.h"
#include "suite/supervise.h"

/* ---- for judges ---- */

/* Sets the summary, as printf. */
void say(struct evidence *evidence, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Notes a number, or a text, in the details. */
void note_number(struct evidence *evidence, const char *key, uint64_t value);
void note_address(struct evidence *evidence, const char *key, uint64_t address);
void note_text(struct evidence *evidence, const char *key, const char *text);
/* A number noted before; fallback if there is none. */
uint64_t noted(const struct evidence *evidence, const char *key, uint64_t fallback);

/* The next thing of a kind from *at on, moving *at past it; NULL: no more. */
const struct seen *next_seen(const struct case_run *run, enum seen_kind kind, size_t *at);
/* The outcome of the last operation of that code; NULL: it did not run. */
const struct seen *last_operation(const struct case_run *run, enum model_code code);

/* open, or an allocation, said no: says so in the summary. Programs in which a refusal is expected
 * do not ask. */
bool refused(const struct case_run *run, struct evidence *evidence);
/* The subject died outside of a misuse: a crash is never in order. Says so. */
bool died(const struct case_run *run, struct evidence *evidence);
/* The first live secret found changed, or without a lock on one of its pages; says so. Each is
 * FINDING_BROKEN, FINDING_UNSEEN if it could not be looked at, else FINDING_KEPT. */
enum finding contents_kept(const struct case_run *run, struct evidence *evidence);
enum finding locks_kept(const struct case_run *run, struct evidence *evidence);
enum finding locks_seen(const struct case_run *run, const struct seen *seen,
                        struct evidence *evidence);
/* Each look at a secret against the looks at the same one before: did it lose its lock? */
enum finding locks_as_before(const struct case_run *run, struct evidence *evidence);
/* The worse of two findings: broken, unseen, refused, kept. */
enum finding worse(enum finding a, enum finding b);

/* ---- for run.c ---- */

/* Judges one case: first how it ended, then by the promise's judge. */
enum finding judge_case(const struct promise *promise, const struct case_run *run,
                        struct evidence *evidence);
/* What went wrong in the harness, if anything did: then no verdict is possible. */
bool judge_harness(const struct case_run *run, char *why, size_t why_bytes);

/* Adds one case's evidence to a promise's. */
void evidence_add(struct evidence *total, const char *label, enum finding finding,
                  struct evidence *one);

/* The verdict of a promise on a subject, from its evidence and the controls'. */
enum verdict judge_verdict(const struct promise *promise, bool claimed,
                           const struct evidence *evidence);
/* Do the controls vouch for the observers? If not, why holds one line. */
enum vouching {
    CONTROLS_VOUCH,
    CONTROLS_REFUSED, /* the one that must pass was given no memory to lock: nothing can be said */
    CONTROLS_FAILED
};
enum vouching judge_controls(const struct promise *promise, const struct evidence *positive,
                             const struct evidence *negative, char *why, size_t why_bytes);

#endif
