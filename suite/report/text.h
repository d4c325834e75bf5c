/* SPDX-License-Identifier: MIT */
/*
 * text.h: how the reports for people put words on a page.
 */
#ifndef SUITE_REPORT_TEXT_H
#define SUITE_REPORT_TEXT_H

#include "report.h"

enum tone { TONE_PLAIN, TONE_STRONG, TONE_QUIET, TONE_GOOD, TONE_BAD, TONE_DOUBT, TONE_FAULT };

/* One word or phrase, padded to columns (0: not padded). Control characters, which a subject's
 * own texts may hold, become '?'. */
void text_put(const struct terminal *to, enum tone tone, const char *text, unsigned columns);
void text_spaces(const struct terminal *to, unsigned columns);
/* text_put, and the end of the line. */
void text_line(const struct terminal *to, enum tone tone, const char *text);
/* Words wrapped at the width, all lines but the first indented; the cursor stands at column. */
void text_wrap(const struct terminal *to, unsigned column, unsigned indent, const char *text);

/* The same text with every byte that is not printable ASCII or part of valid UTF-8, and every control
 * character, as '?'; the caller frees it. NULL: no memory. */
char *text_clean(const char *text);
/* As a JSON string. Control characters stay: JSON escapes them. */
json_t *text_json(const char *bytes);

/* path as seen from the working directory, where it lies below it. */
const char *text_path(const char *path);

/* "1 case", "2 cases" */
const char *text_count(char *out, size_t out_bytes, size_t count, const char *one,
                       const char *many);
/* "4 KiB", "8 MiB", "unlimited", "100 bytes" */
const char *text_bytes(char *out, size_t out_bytes, uint64_t bytes);

/* "close", "resize", ... for the bits of enum model_entry, from 0; NULL past the last. */
const char *entry_name(unsigned bit);

/* The word for a verdict in a narrow column, and its colour. */
const char *cell_text(enum verdict verdict);
enum tone verdict_tone(enum verdict verdict);

#endif
