/* SPDX-License-Identifier: MIT */
/* parts.c: the sections that `compare` and `verify` share. */
#include "parts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

/* ---- what was asked for ---- */

const struct verdict_record *record_of(const struct subject_result *subject,
                                       const struct promise *promise)
{
    for (size_t v = 0; v < subject->count; v++) {
        if (subject->verdicts[v].promise == promise)
            return &subject->verdicts[v];
    }
    return NULL;
}

bool promise_was_asked(const struct run_result *result, const struct promise *promise)
{
    for (size_t s = 0; s < result->count; s++) {
        if (record_of(&result->subjects[s], promise) != NULL)
            return true;
    }
    return false;
}

bool level_was_asked(const struct run_result *result, enum promise_level level)
{
    for (const struct promise *const *p = promises; *p != NULL; p++) {
        if ((*p)->level == level && promise_was_asked(result, *p))
            return true;
    }
    return false;
}

/* ---- the run as a whole ---- */

void put_host(const struct terminal *to, const struct run_result *result)
{
    const struct host_facts *host = &result->host;
    char line[512], page[32], soft[32], cores[32];

    snprintf(line, sizeof line, "%s %s, %s, pages of %s, RLIMIT_MEMLOCK %s, %s", host->kernel,
             host->machine, text_count(cores, sizeof cores, host->cores, "core", "cores"),
             text_bytes(page, sizeof page, (uint64_t)host->page_bytes),
             text_bytes(soft, sizeof soft, host->memlock_soft_bytes), host->user);
    text_line(to, TONE_QUIET, line);
    fputc('\n', to->out);
}

void put_ran(const struct terminal *to, const struct run_result *result)
{
    char line[128], cases[32];

    snprintf(line, sizeof line, "%s in %" PRIu64 ".%" PRIu64 " s, --seed %" PRIu64,
             text_count(cases, sizeof cases, result->cases, "case", "cases"),
             result->elapsed_ms / 1000, result->elapsed_ms % 1000 / 100, result->seed);
    text_line(to, TONE_QUIET, line);
}

void put_skipped(const struct terminal *to, const struct skipped_subject *skipped, size_t count)
{
    char heading[64];
    unsigned width = 0;

    if (count == 0)
        return;
    snprintf(heading, sizeof heading, "%zu skipped", count);
    text_line(to, TONE_STRONG, heading);
    for (size_t i = 0; i < count; i++) {
        unsigned length = (unsigned)strlen(skipped[i].name);
        width = length > width ? length : width;
    }
    for (size_t i = 0; i < count; i++) {
        text_spaces(to, 2);
        text_put(to, TONE_PLAIN, skipped[i].name, width + 2);
        text_wrap(to, width + 4, width + 4, skipped[i].reason);
    }
    fputc('\n', to->out);
}

void put_sizes(const struct terminal *to, const struct run_result *result)
{
    char heading[64], *list = NULL;
    size_t list_bytes = 0;
    FILE *out;

    if (result->sizes_count == 0 || (out = open_memstream(&list, &list_bytes)) == NULL)
        return;
    for (size_t i = 0; i < result->sizes_count; i++) {
        char bytes[24];
        snprintf(bytes, sizeof bytes, "%zu", result->sizes_bytes[i]);
        if (strcmp(bytes, result->sizes[i]) == 0)
            fprintf(out, "%s ", bytes);
        else
            fprintf(out, "%s=%s ", result->sizes[i], bytes);
    }
    fclose(out);
    snprintf(heading, sizeof heading, "%zu sizes swept", result->sizes_count);
    text_line(to, TONE_STRONG, heading);
    text_spaces(to, 2);
    text_wrap(to, 2, 2, list);
    fputc('\n', to->out);
    free(list);
}

/* ---- what is broken: a line and a command for each ---- */

static void put_repeat(const struct terminal *to, const struct verdict_record *record)
{
    if (record->repeat[0] == '\0')
        return;
    text_spaces(to, 6);
    text_put(to, TONE_QUIET, "$ ", 0);
    text_line(to, TONE_QUIET, record->repeat);
}

static void put_broken_one(const struct terminal *to, const struct subject_result *subject,
                           const struct verdict_record *record)
{
    char line[sizeof subject->name + sizeof record->evidence.summary + 64];

    snprintf(line, sizeof line, "%s: %s: %s", subject->name, record->promise->id,
             record->evidence.summary);
    text_spaces(to, 2);
    text_wrap(to, 2, 6, line);
    put_repeat(to, record);
}

void put_broken(const struct terminal *to, const struct run_result *result)
{
    bool headed = false;

    for (size_t s = 0; s < result->count; s++) {
        const struct subject_result *subject = &result->subjects[s];
        for (size_t v = 0; v < subject->count; v++) {
            if (subject->verdicts[v].verdict != VERDICT_BROKEN)
                continue;
            if (!headed)
                text_line(to, TONE_STRONG, "What is broken, and the command that shows it");
            headed = true;
            put_broken_one(to, subject, &subject->verdicts[v]);
        }
    }
    if (headed)
        fputc('\n', to->out);
}

/* ---- what the same is said of for many subjects: one line for all of them ---- */

static bool is_alike(const struct subject_result *subject, const struct verdict_record *like)
{
    const struct verdict_record *record = record_of(subject, like->promise);

    return record != NULL && record->verdict == like->verdict &&
           strcmp(record->evidence.summary, like->evidence.summary) == 0;
}

static bool said_before(const struct run_result *result, size_t subject,
                        const struct verdict_record *record)
{
    for (size_t s = 0; s < subject; s++) {
        if (is_alike(&result->subjects[s], record))
            return true;
    }
    return false;
}

static void put_alike(const struct terminal *to, const struct run_result *result, size_t subject,
                      const struct verdict_record *record)
{
    char *line = NULL;
    size_t line_bytes = 0, alike = 0;
    FILE *out = open_memstream(&line, &line_bytes);

    if (out == NULL)
        return;
    fprintf(out, "%s: %s (", record->promise->id, record->evidence.summary);
    for (size_t s = subject; s < result->count; s++) {
        if (is_alike(&result->subjects[s], record))
            fprintf(out, "%s%s", alike++ > 0 ? ", " : "", result->subjects[s].name);
    }
    fputc(')', out);
    fclose(out);
    text_spaces(to, 2);
    text_wrap(to, 2, 6, line);
    put_repeat(to, record);
    free(line);
}

static void put_all_alike(const struct terminal *to, const struct run_result *result,
                          enum verdict verdict, const char *heading)
{
    bool headed = false;

    for (const struct promise *const *p = promises; *p != NULL; p++) {
        for (size_t s = 0; s < result->count; s++) {
            const struct verdict_record *record = record_of(&result->subjects[s], *p);
            if (record == NULL || record->verdict != verdict || said_before(result, s, record))
                continue;
            if (!headed)
                text_line(to, TONE_STRONG, heading);
            headed = true;
            put_alike(to, result, s, record);
        }
    }
    if (headed)
        fputc('\n', to->out);
}

void put_errors(const struct terminal *to, const struct run_result *result)
{
    put_all_alike(to, result, VERDICT_ERROR, "Where the verifier failed");
}

void put_not_observable(const struct terminal *to, const struct run_result *result)
{
    put_all_alike(to, result, VERDICT_NOT_OBSERVABLE, "Not observable here");
}

/* ---- claims that nobody here can judge ---- */

static size_t unknown_claims(const struct subject_result *subject)
{
    size_t count = 0;

    for (char **claim = subject->claims; claim != NULL && *claim != NULL; claim++)
        count += promise_find(*claim) == NULL;
    return count;
}

static void put_unknown_of(const struct terminal *to, const struct subject_result *subject)
{
    char *line = NULL;
    size_t line_bytes = 0, count = 0;
    FILE *out = open_memstream(&line, &line_bytes);

    if (out == NULL)
        return;
    fprintf(out, "%s: ", subject->name);
    for (char **claim = subject->claims; claim != NULL && *claim != NULL; claim++) {
        if (promise_find(*claim) == NULL)
            fprintf(out, "%s%s", count++ > 0 ? ", " : "", *claim);
    }
    fclose(out);
    text_spaces(to, 2);
    text_wrap(to, 2, 6, line);
    free(line);
}

void put_unknown_claims(const struct terminal *to, const struct run_result *result, bool named)
{
    char heading[128], claims[64];
    size_t count = 0;

    for (size_t s = 0; s < result->count; s++)
        count += unknown_claims(&result->subjects[s]);
    if (count == 0)
        return;
    snprintf(heading, sizeof heading, "Not judged: %s this version does not know",
             text_count(claims, sizeof claims, count, "claim of a promise that",
                        "claims of promises that"));
    text_line(to, named ? TONE_STRONG : TONE_QUIET, heading);
    for (size_t s = 0; named && s < result->count; s++) {
        if (unknown_claims(&result->subjects[s]) > 0)
            put_unknown_of(to, &result->subjects[s]);
    }
    fputc('\n', to->out);
}

/* ---- --verbose ---- */

const char *evidence_counts(char *out, size_t out_bytes, const struct evidence *evidence)
{
    char cases[32];

    snprintf(out, out_bytes, "%s: %u kept, %u broken, %u refused, %u unseen",
             text_count(cases, sizeof cases, evidence->cases, "case", "cases"), evidence->kept,
             evidence->broken, evidence->refused, evidence->unseen);
    return out;
}

static unsigned name_width(const struct run_result *result)
{
    size_t width = 0;

    for (size_t s = 0; s < result->count; s++) {
        size_t length = strlen(result->subjects[s].name);
        width = length > width ? length : width;
    }
    return (unsigned)width;
}

static unsigned promise_width(void)
{
    size_t width = 0;

    for (const struct promise *const *p = promises; *p != NULL; p++)
        width = strlen((*p)->id) > width ? strlen((*p)->id) : width;
    return (unsigned)width;
}

void put_cases(const struct terminal *to, const struct run_result *result)
{
    unsigned names = name_width(result) + 2, ids = promise_width() + 2;
    char counts[128];

    text_line(to, TONE_STRONG, "Cases");
    for (size_t s = 0; s < result->count; s++) {
        const struct subject_result *subject = &result->subjects[s];
        for (size_t v = 0; v < subject->count; v++) {
            const struct verdict_record *record = &subject->verdicts[v];
            text_spaces(to, 2);
            text_put(to, TONE_PLAIN, subject->name, names);
            text_put(to, TONE_PLAIN, record->promise->id, ids);
            text_line(to, TONE_PLAIN, evidence_counts(counts, sizeof counts, &record->evidence));
        }
    }
    fputc('\n', to->out);
}

static void put_control(const struct terminal *to, const char *promise, const char *which,
                        const struct evidence *evidence)
{
    char counts[128], line[sizeof evidence->summary + 256];

    if (evidence->cases == 0 && evidence->summary[0] == '\0')
        return;
    snprintf(line, sizeof line, "%s: %s: %s (%s)", promise, which, evidence->summary,
             evidence_counts(counts, sizeof counts, evidence));
    text_spaces(to, 2);
    text_wrap(to, 2, 6, line);
}

/* The controls ran once for all subjects; where they differ by subject, the first one's. */
void put_controls(const struct terminal *to, const struct run_result *result)
{
    if (result->count == 0)
        return;
    text_line(to, TONE_STRONG, "Controls");
    for (size_t v = 0; v < result->subjects[0].count; v++) {
        const struct verdict_record *record = &result->subjects[0].verdicts[v];
        put_control(to, record->promise->id, "seen to fail", &record->positive);
        put_control(to, record->promise->id, "seen to pass", &record->negative);
    }
    fputc('\n', to->out);
}
