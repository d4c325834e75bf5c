/* SPDX-License-Identifier: MIT */
/*
 * junit.c: a result as the JUnit XML that CI systems read.
 *
 *     testsuites -> testsuite (a subject) -> testcase (a promise) -> failure | error | skipped
 *
 * Written by hand: it is four kinds of element, and a library for XML would be 40 MB of an image that
 * is to be small. What needs care is the text of strangers, and that goes through put_text alone.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parts.h"
#include "text.h"

/* ---- text in XML ---- */

/* U+FFFE and U+FFFF are valid UTF-8 and no characters of XML. */
static bool is_no_character(const char *text)
{
    const unsigned char *c = (const unsigned char *)text;
    return c[0] == 0xef && c[1] == 0xbf && c[2] >= 0xbe;
}

/* Of an element or of an attribute alike. */
static void put_text(FILE *out, const char *text)
{
    char *clean = text_clean(text);

    for (const char *c = clean; c != NULL && *c != '\0'; c++) {
        const char *entity = *c == '&'   ? "&amp;"
                             : *c == '<' ? "&lt;"
                             : *c == '>' ? "&gt;"
                             : *c == '"' ? "&quot;"
                                         : NULL;
        if (entity != NULL)
            fputs(entity, out);
        else if (is_no_character(c))
            fputc('?', out), c += 2;
        else
            fputc(*c, out);
    }
    free(clean);
}

static void put_attribute(FILE *out, const char *name, const char *value)
{
    fprintf(out, " %s=\"", name);
    put_text(out, value);
    fputc('"', out);
}

static void put_seconds(FILE *out, uint64_t milliseconds)
{
    fprintf(out, " time=\"%" PRIu64 ".%03" PRIu64 "\"", milliseconds / 1000, milliseconds % 1000);
}

/* ---- what becomes of a verdict ---- */

enum outcome { PASSED, FAILED, ERRED, SKIPPED, OUTCOMES };

static enum outcome outcome_of(const struct verdict_record *record, const char *const *allowed)
{
    switch (record->verdict) {
    case VERDICT_HOLDS:
        return PASSED;
    case VERDICT_BROKEN:
        return FAILED;
    case VERDICT_NOT_OFFERED:
        return SKIPPED;
    case VERDICT_NOT_OBSERVABLE:
        return verdict_is_unobserved(record, allowed) ? ERRED : SKIPPED;
    case VERDICT_ERROR:
    case VERDICTS:
    default: /* what is no verdict is as bad as an error, as at the gate */
        return ERRED;
    }
}

struct tally {
    size_t tests, of[OUTCOMES];
    uint64_t elapsed_ms;
};

static void count_subject(struct tally *tally, const struct subject_result *subject,
                          const char *const *allowed)
{
    for (size_t v = 0; v < subject->count; v++) {
        tally->tests++;
        tally->of[outcome_of(&subject->verdicts[v], allowed)]++;
        tally->elapsed_ms += subject->verdicts[v].evidence.elapsed_ms;
    }
}

static void put_tally(FILE *out, const struct tally *tally)
{
    fprintf(out, " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\"", tally->tests,
            tally->of[FAILED], tally->of[ERRED], tally->of[SKIPPED]);
    put_seconds(out, tally->elapsed_ms);
}

/* ---- elements ---- */

/* "broken: 32 of 32 bytes ...", so that the five verdicts stay apart where JUnit knows four. */
static void put_message(FILE *out, const struct verdict_record *record)
{
    char message[sizeof record->evidence.summary + 64];

    snprintf(message, sizeof message, "%s: %s", verdict_name(record->verdict),
             record->evidence.summary);
    put_attribute(out, "message", message);
}

static void put_body(FILE *out, const struct verdict_record *record)
{
    put_text(out, record->promise->statement);
    if (record->repeat[0] != '\0') {
        fputs("\n$ ", out);
        put_text(out, record->repeat);
    }
}

static void put_outcome(FILE *out, const struct verdict_record *record, enum outcome outcome)
{
    const char *element = outcome == FAILED ? "failure" : outcome == ERRED ? "error" : "skipped";

    fprintf(out, "      <%s", element);
    put_message(out, record);
    if (outcome == SKIPPED) {
        fputs("/>\n", out);
        return;
    }
    put_attribute(out, "type", verdict_name(record->verdict));
    fputc('>', out);
    put_body(out, record);
    fprintf(out, "</%s>\n", element);
}

static void put_case(FILE *out, const struct subject_result *subject,
                     const struct verdict_record *record, enum outcome outcome)
{
    fputs("    <testcase", out);
    put_attribute(out, "classname", subject->name);
    put_attribute(out, "name", record->promise->id);
    put_seconds(out, record->evidence.elapsed_ms);
    if (outcome == PASSED) {
        fputs("/>\n", out);
        return;
    }
    fputs(">\n", out);
    put_outcome(out, record, outcome);
    fputs("    </testcase>\n", out);
}

static void put_subject(FILE *out, const struct subject_result *subject, const char *const *allowed)
{
    struct tally tally = {0};

    count_subject(&tally, subject, allowed);
    fputs("  <testsuite", out);
    put_attribute(out, "name", subject->name);
    put_tally(out, &tally);
    fputs(">\n", out);
    for (size_t v = 0; v < subject->count; v++)
        put_case(out, subject, &subject->verdicts[v], outcome_of(&subject->verdicts[v], allowed));
    fputs("  </testsuite>\n", out);
}

/* Subjects that are known and could not be judged: seen, not silently absent. */
static void put_skipped_subjects(FILE *out, const struct run_result *result)
{
    if (result->skipped_count == 0)
        return;
    fprintf(out,
            "  <testsuite name=\"not judged here\" tests=\"%zu\" failures=\"0\" errors=\"0\" "
            "skipped=\"%zu\" time=\"0.000\">\n",
            result->skipped_count, result->skipped_count);
    for (size_t i = 0; i < result->skipped_count; i++) {
        fputs("    <testcase classname=\"not judged here\"", out);
        put_attribute(out, "name", result->skipped[i].name);
        fputs(" time=\"0.000\">\n      <skipped", out);
        put_attribute(out, "message", result->skipped[i].reason);
        fputs("/>\n    </testcase>\n", out);
    }
    fputs("  </testsuite>\n", out);
}

static void put_all(FILE *out, const struct run_result *result, const char *const *allowed)
{
    struct tally tally = {.tests = result->skipped_count, .of[SKIPPED] = result->skipped_count};

    for (size_t s = 0; s < result->count; s++)
        count_subject(&tally, &result->subjects[s], allowed);
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"strongroom\"", out);
    put_tally(out, &tally);
    fputs(">\n", out);
    for (size_t s = 0; s < result->count; s++)
        put_subject(out, &result->subjects[s], allowed);
    put_skipped_subjects(out, result);
    fputs("</testsuites>\n", out);
}

char *report_junit(const struct run_result *result, const char *const *allowed)
{
    char *text = NULL;
    size_t text_bytes = 0;
    FILE *out = open_memstream(&text, &text_bytes);

    if (out == NULL)
        return NULL;
    put_all(out, result, allowed);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}
