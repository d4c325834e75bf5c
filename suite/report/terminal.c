/* SPDX-License-Identifier: MIT */
/* terminal.c: `verify` for people: a line for each promise, and the exit status in words. */
#include <stdlib.h>
#include <string.h>

#include "parts.h"
#include "text.h"

/* ---- verify: one subject after the other, a line for each promise ---- */

/* "BROKEN" and "ERROR" are seen without colour too. */
static const char *loud_name(enum verdict verdict)
{
    if (verdict == VERDICT_BROKEN || verdict == VERDICT_ERROR)
        return cell_text(verdict);
    return verdict_name(verdict);
}

struct columns {
    unsigned verdict, promise;
};

static struct columns columns_of(const struct run_result *result)
{
    struct columns columns = {0};

    for (size_t s = 0; s < result->count; s++) {
        for (size_t v = 0; v < result->subjects[s].count; v++) {
            const struct verdict_record *record = &result->subjects[s].verdicts[v];
            unsigned verdict = (unsigned)strlen(loud_name(record->verdict));
            unsigned promise = (unsigned)strlen(record->promise->id) + 2;
            columns.verdict = verdict > columns.verdict ? verdict : columns.verdict;
            columns.promise = promise > columns.promise ? promise : columns.promise;
        }
    }
    return columns;
}

static void put_further(const struct terminal *to, unsigned indent, const char *label,
                        const struct evidence *evidence)
{
    char counts[128], line[sizeof evidence->summary + 256];

    if (evidence->cases == 0 && evidence->summary[0] == '\0')
        return;
    evidence_counts(counts, sizeof counts, evidence);
    if (label[0] == '\0')
        snprintf(line, sizeof line, "%s", counts);
    else
        snprintf(line, sizeof line, "%s: %s (%s)", label, evidence->summary, counts);
    text_spaces(to, indent);
    text_wrap(to, indent, indent + 2, line);
}

static void put_record(const struct terminal *to, struct columns columns,
                       const struct verdict_record *record)
{
    unsigned indent = 2 + columns.verdict + 2 + columns.promise + 2;
    char promise[96];

    snprintf(promise, sizeof promise, "%s%s", record->promise->id, record->claimed ? " *" : "");
    text_spaces(to, 2);
    text_put(to, verdict_tone(record->verdict), loud_name(record->verdict), columns.verdict + 2);
    text_put(to, TONE_PLAIN, promise, columns.promise + 2);
    text_wrap(to, indent, indent, record->evidence.summary);
    if (to->verbose) {
        put_further(to, indent, "", &record->evidence);
        put_further(to, indent, "seen to fail", &record->positive);
        put_further(to, indent, "seen to pass", &record->negative);
    }
    if (record->repeat[0] != '\0' &&
        (record->verdict == VERDICT_BROKEN || record->verdict == VERDICT_ERROR)) {
        text_spaces(to, indent);
        text_put(to, TONE_QUIET, "$ ", 0);
        text_line(to, TONE_QUIET, record->repeat);
    }
}

static void put_level(const struct terminal *to, struct columns columns,
                      const struct subject_result *subject, enum promise_level level)
{
    bool headed = false;

    for (size_t v = 0; v < subject->count; v++) {
        if (subject->verdicts[v].promise->level != level)
            continue;
        if (!headed)
            text_line(to, TONE_STRONG, promise_level_name(level));
        headed = true;
        put_record(to, columns, &subject->verdicts[v]);
    }
}

static void put_title(const struct terminal *to, const struct subject_result *subject)
{
    text_put(to, TONE_STRONG, subject->name, 0);
    text_spaces(to, 1);
    text_put(to, TONE_PLAIN, subject->version, 0);
    text_spaces(to, subject->version[0] != '\0' ? 2 : 1);
    text_line(to, TONE_QUIET, text_path(subject->path));
    fputc('\n', to->out);
}

static void put_subject(const struct terminal *to, struct columns columns,
                        const struct subject_result *subject)
{
    put_title(to, subject);
    for (unsigned level = 0; level < PROMISE_LEVELS; level++)
        put_level(to, columns, subject, level);
    fputs("\n  ", to->out);
    for (unsigned verdict = 0; verdict < VERDICTS; verdict++)
        fprintf(to->out, "%s%zu %s", verdict > 0 ? ", " : "", subject->totals[verdict],
                verdict_name(verdict));
    fputs("\n\n", to->out);
}

static void put_claim_legend(const struct terminal *to, const struct run_result *result)
{
    for (size_t s = 0; s < result->count; s++) {
        for (size_t v = 0; v < result->subjects[s].count; v++) {
            if (result->subjects[s].verdicts[v].claimed) {
                text_line(to, TONE_QUIET, "* claimed by the subject");
                return;
            }
        }
    }
}

/* ---- the gate in words ---- */

/* The ids that keep the gate from passing, once each: "locked,fork". */
static char *unobserved_ids(const struct run_result *result, const char *const *allowed)
{
    char *ids = NULL;
    size_t ids_bytes = 0, count = 0;
    FILE *out = open_memstream(&ids, &ids_bytes);

    if (out == NULL)
        return NULL;
    for (const struct promise *const *p = promises; *p != NULL; p++) {
        for (size_t s = 0; s < result->count; s++) {
            const struct verdict_record *record = record_of(&result->subjects[s], *p);
            if (record != NULL && verdict_is_unobserved(record, allowed)) {
                fprintf(out, "%s%s", count++ > 0 ? "," : "", (*p)->id);
                break;
            }
        }
    }
    fclose(out);
    return ids;
}

static void gate_passed(char *out, size_t out_bytes, const struct gate *gate)
{
    int length;

    if (gate->owed == 0) {
        snprintf(out, out_bytes, "nothing that was asked for is core or claimed");
        return;
    }
    length = snprintf(out, out_bytes, "%zu of %zu core and claimed promises hold", gate->holds,
                      gate->owed);
    if (gate->not_offered > 0)
        length += snprintf(out + length, out_bytes - (size_t)length, ", %zu not offered",
                           gate->not_offered);
    if (gate->allowed > 0)
        snprintf(out + length, out_bytes - (size_t)length, ", %zu not observable here, as allowed",
                 gate->allowed);
}

static void gate_words(char *out, size_t out_bytes, const struct gate *gate, const char *ids)
{
    switch (gate->status) {
    case 0:
        gate_passed(out, out_bytes, gate);
        break;
    case 1:
        snprintf(out, out_bytes,
                 gate->broken == 1 ? "1 promise is broken" : "%zu promises are broken",
                 gate->broken);
        break;
    case 3:
        snprintf(out, out_bytes,
                 "nothing is broken, but %zu core or claimed %s not be observed here "
                 "(--allow-unobserved %s accepts that)",
                 gate->unobserved, gate->unobserved == 1 ? "promise could" : "promises could",
                 ids != NULL ? ids : "...");
        break;
    default:
        if (gate->errors == 0)
            snprintf(out, out_bytes, "nothing was judged");
        else
            snprintf(out, out_bytes, "the verifier itself failed on %zu %s", gate->errors,
                     gate->errors == 1 ? "promise" : "promises");
    }
}

void gate_text(char *out, size_t out_bytes, const struct run_result *result,
               const char *const *allowed)
{
    struct gate gate = run_result_weigh(result, allowed);
    char *ids = unobserved_ids(result, allowed);

    gate_words(out, out_bytes, &gate, ids);
    free(ids);
}

static void put_gate(const struct terminal *to, const struct run_result *result,
                     const char *const *allowed)
{
    static const enum tone tones[] = {TONE_GOOD, TONE_BAD, TONE_FAULT, TONE_DOUBT};
    struct gate gate = run_result_weigh(result, allowed);
    char status[16], words[512];

    gate_text(words, sizeof words, result, allowed);
    snprintf(status, sizeof status, "exit %d:", gate.status);
    text_put(to, tones[gate.status], status, 0);
    text_spaces(to, 1);
    text_wrap(to, 8, 8, words);
}

void report_verify(const struct terminal *to, const struct run_result *result,
                   const char *const *allowed)
{
    struct columns columns = columns_of(result);

    put_host(to, result);
    for (size_t s = 0; s < result->count; s++)
        put_subject(to, columns, &result->subjects[s]);
    put_unknown_claims(to, result, true);
    if (to->verbose)
        put_sizes(to, result);
    put_claim_legend(to, result);
    put_ran(to, result);
    put_gate(to, result, allowed);
}
