/* SPDX-License-Identifier: MIT */
/*
 * report.h: everything that is said about a run, all of it from struct run_result.
 *
 *     run_result -> report_compare, report_verify   for people     terminal.c, matrix.c
 *                -> report_json                     for programs   json.c -> output.c
 *                -> report_junit, report_sarif      for CI         junit.c, sarif.c -> output.c
 *                -> report_markdown                 for its page   markdown.c -> output.c
 *                -> report_program                  in C, one case program.c -> output.c
 */
#ifndef SUITE_REPORT_H
#define SUITE_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "suite/promise.h"
#include "suite/result.h"
#include "suite/run.h"

/* Where text for people goes, and what may be used there. */
struct terminal {
    FILE *out;
    unsigned width; /* columns */
    bool colour;
    bool verbose;
};
/* Colour on a terminal only, without NO_COLOR and TERM=dumb; width from COLUMNS, the terminal,
 * else 100. */
struct terminal terminal_on(FILE *out, bool verbose);

/* Subjects side by side: a row for each promise, then totals, what is broken, what was not seen. */
void report_compare(const struct terminal *to, const struct run_result *result);
/* A line for each promise, subject after subject, then the exit status in words. */
void report_verify(const struct terminal *to, const struct run_result *result,
                   const char *const *allowed);
/* What could be judged here, what could not, and the promises. */
void report_list(const struct terminal *to, const struct catalog_entry *entries, size_t count,
                 const struct skipped_subject *skipped, size_t skipped_count);
void report_promise(const struct terminal *to, const struct promise *promise);

/* The whole result as docs/strongroom-result-1.schema.json describes it. NULL: no memory. */
json_t *report_json(const struct run_result *result);
/* The same as JUnit XML: a test is a promise of a subject. broken: a failure; error, and what of the
 * core and claimed promises could not be observed and is not in allowed: an error; the rest that was
 * not judged: skipped. So what verify does not pass has failures or errors. The caller frees it. */
char *report_junit(const struct run_result *result, const char *const *allowed);
/* What is broken as SARIF 2.1.0: a result each; a notification for each error, and for each core or
 * claimed promise that could not be observed. Whoever shows SARIF takes each result for an alert, so
 * what holds is in the counts only. */
json_t *report_sarif(const struct run_result *result, const char *const *allowed);
/* A summary in GitHub's Markdown of less than REPORT_MARKDOWN_BYTES; what does not fit is counted. */
#define REPORT_MARKDOWN_BYTES (1024u * 1024u)
char *report_markdown(const struct run_result *result, const char *const *allowed);
json_t *report_list_json(const struct catalog_entry *entries, size_t count,
                         const struct skipped_subject *skipped, size_t skipped_count);

/* Can path ("-": stdout) be written? Leaves nothing behind. On failure error holds one line. */
bool output_check(const char *path, char *error, size_t error_bytes);
/* Writes text, or json, to path, whole or not at all: under another name first, then renamed. */
bool output_text(const char *path, const char *text, char *error, size_t error_bytes);
bool output_json(const char *path, const json_t *json, char *error, size_t error_bytes);

/* The case that decided the first broken verdict, else (where one case was asked for) that case, as a
 * C program of its own; the caller frees it. NULL: nothing is broken, or the subject, *whose, is a
 * program, which no other program can load. *whose: NULL where nothing is broken. */
char *report_program(const struct run_result *result, const char *only_case,
                     const struct subject_result **whose);

/* What runs now, on stderr: one line that is rewritten on a terminal; elsewhere a line now and
 * then, from two seconds on. progress_show fits run_settings.progress. */
struct progress {
    struct terminal to;
    bool rewrites;
    bool shown;
    double began_s, last_s;
};
struct progress progress_begin(void);
void progress_show(void *progress, size_t done, size_t all, const char *subject,
                   const char *promise);
void progress_end(struct progress *progress);

#endif
