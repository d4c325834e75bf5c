/* SPDX-License-Identifier: MIT */
/*
 * parts.h: the sections that the reports for people share, each with its heading, each empty
 * where there is nothing to say.
 */
#ifndef SUITE_REPORT_PARTS_H
#define SUITE_REPORT_PARTS_H

#include "report.h"

/* What was judged of this promise; NULL: it was not asked for. */
const struct verdict_record *record_of(const struct subject_result *subject,
                                       const struct promise *promise);
bool promise_was_asked(const struct run_result *result, const struct promise *promise);
bool level_was_asked(const struct run_result *result, enum promise_level level);

/* "Linux 6.1 x86_64, 2 cores, pages of 4 KiB, RLIMIT_MEMLOCK 8 MiB, root" */
void put_host(const struct terminal *to, const struct run_result *result);
/* What is broken; what the harness failed at; what could not be seen, and why. */
void put_broken(const struct terminal *to, const struct run_result *result);
void put_errors(const struct terminal *to, const struct run_result *result);
void put_not_observable(const struct terminal *to, const struct run_result *result);
/* Claims whose promise does not exist here: misspelt, or newer than this program. */
void put_unknown_claims(const struct terminal *to, const struct run_result *result, bool named);
void put_skipped(const struct terminal *to, const struct skipped_subject *skipped, size_t count);
/* --verbose: how many cases showed what; what the controls showed; the sizes swept. */
void put_cases(const struct terminal *to, const struct run_result *result);
void put_controls(const struct terminal *to, const struct run_result *result);
void put_sizes(const struct terminal *to, const struct run_result *result);
/* "1234 cases in 12.3 s, --seed 42" */
void put_ran(const struct terminal *to, const struct run_result *result);

/* What the exit status of verify says, in words: "2 promises are broken" */
void gate_text(char *out, size_t out_bytes, const struct run_result *result,
               const char *const *allowed);

/* "40 cases: 38 kept, 1 broken, 1 refused, 0 unseen" */
const char *evidence_counts(char *out, size_t out_bytes, const struct evidence *evidence);

#endif
