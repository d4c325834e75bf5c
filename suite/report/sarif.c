/* SPDX-License-Identifier: MIT */
/*
 * sarif.c: what is broken as SARIF 2.1.0 (OASIS), which code scanning services read.
 *
 *     run -> tool.driver.rules     the promises that were asked for
 *         -> results               what is broken: rule, subject, evidence, command
 *         -> invocations           its notifications: errors, and what could not be observed
 *         -> properties            the five counts, the seed
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parts.h"
#include "suite/version.h"
#include "text.h"

#define SCHEMA                                                                              \
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0" \
    ".json"

static json_t *message(const char *text)
{
    return json_pack("{s:o}", "text", text_json(text));
}

/* ---- rules ---- */

static json_t *rule_json(const struct promise *promise)
{
    return json_pack("{s:s, s:o, s:o, s:o, s:{s:s}, s:{s:s}}", "id", promise->id,
                     "shortDescription", message(promise->statement), "fullDescription",
                     message(promise->observed), "help", message(promise->in_practice),
                     "defaultConfiguration", "level", "error", "properties", "level",
                     promise_level_name(promise->level));
}

/* Of the promises that were asked for, in the order of all. */
static json_t *rules_json(const struct run_result *result)
{
    json_t *rules = json_array();

    for (const struct promise *const *p = promises; *p != NULL; p++) {
        if (promise_was_asked(result, *p))
            json_array_append_new(rules, rule_json(*p));
    }
    return rules;
}

static int rule_index(const struct run_result *result, const struct promise *promise)
{
    int index = 0;

    for (const struct promise *const *p = promises; *p != NULL && *p != promise; p++)
        index += promise_was_asked(result, *p);
    return index;
}

/* ---- where: the shared object ---- */

/* A reference to a file: relative where it lies below the working directory, as services that know
 * the tree want it. */
static json_t *uri_json(const char *path)
{
    char *uri = NULL;
    size_t uri_bytes = 0;
    FILE *out = open_memstream(&uri, &uri_bytes);
    json_t *json;

    if (out == NULL)
        return NULL;
    path = text_path(path);
    fputs(path[0] == '/' ? "file://" : "", out);
    for (const unsigned char *c = (const unsigned char *)path; *c != '\0'; c++) {
        if (isalnum(*c) || strchr("/-._~", *c) != NULL)
            fputc(*c, out);
        else
            fprintf(out, "%%%02X", *c);
    }
    fclose(out);
    json = text_json(uri);
    free(uri);
    return json;
}

/* A shared object has no lines, and services refuse a place without one: the first. */
static json_t *location_json(const struct subject_result *subject)
{
    const char *path = subject->path[0] != '\0' ? subject->path : subject->name;
    json_t *physical = json_pack("{s:{s:o}, s:{s:i}}", "artifactLocation", "uri", uri_json(path),
                                 "region", "startLine", 1);

    return json_pack("{s:o, s:[{s:o, s:s}]}", "physicalLocation", physical, "logicalLocations",
                     "fullyQualifiedName", text_json(subject->name), "kind", "module");
}

/* ---- results and notifications ---- */

static json_t *sentence_json(const struct subject_result *subject,
                             const struct verdict_record *record)
{
    char *text = NULL;
    json_t *json;
    bool repeatable = record->repeat[0] != '\0';

    if (asprintf(&text, "%s: %s: %s: %s%s%s", subject->name, record->promise->id,
                 verdict_name(record->verdict), record->evidence.summary, repeatable ? "\n$ " : "",
                 record->repeat) < 0)
        return NULL;
    json = message(text);
    free(text);
    return json;
}

/* The same for the same finding in the next run, whose addresses are others. */
static json_t *fingerprint_json(const struct subject_result *subject,
                                const struct verdict_record *record)
{
    char *text = NULL;
    json_t *json;

    if (asprintf(&text, "%s/%s", subject->name, record->promise->id) < 0)
        return NULL;
    json = json_pack("{s:o}", "subjectAndPromise/v1", text_json(text));
    free(text);
    return json;
}

static json_t *result_json(const struct run_result *result, const struct subject_result *subject,
                           const struct verdict_record *record)
{
    return json_pack("{s:s, s:i, s:s, s:s, s:o, s:[o], s:o, s:{s:b, s:i, s:i}}", "ruleId",
                     record->promise->id, "ruleIndex", rule_index(result, record->promise), "kind",
                     "fail", "level", "error", "message", sentence_json(subject, record),
                     "locations", location_json(subject), "partialFingerprints",
                     fingerprint_json(subject, record), "properties", "claimed",
                     (int)record->claimed, "cases", (int)record->evidence.cases, "broken",
                     (int)record->evidence.broken);
}

static json_t *notification_json(const struct run_result *result,
                                 const struct subject_result *subject,
                                 const struct verdict_record *record)
{
    const char *level = record->verdict == VERDICT_ERROR ? "error" : "warning";

    return json_pack("{s:{s:s, s:i}, s:s, s:o}", "associatedRule", "id", record->promise->id,
                     "index", rule_index(result, record->promise), "level", level, "message",
                     sentence_json(subject, record));
}

static json_t *results_json(const struct run_result *result)
{
    json_t *results = json_array();

    for (size_t s = 0; s < result->count; s++) {
        const struct subject_result *subject = &result->subjects[s];
        for (size_t v = 0; v < subject->count; v++) {
            if (subject->verdicts[v].verdict == VERDICT_BROKEN)
                json_array_append_new(results, result_json(result, subject, &subject->verdicts[v]));
        }
    }
    return results;
}

static json_t *notifications_json(const struct run_result *result, const char *const *allowed)
{
    json_t *list = json_array();

    for (size_t s = 0; s < result->count; s++) {
        const struct subject_result *subject = &result->subjects[s];
        for (size_t v = 0; v < subject->count; v++) {
            const struct verdict_record *record = &subject->verdicts[v];
            if (record->verdict == VERDICT_ERROR || verdict_is_unobserved(record, allowed))
                json_array_append_new(list, notification_json(result, subject, record));
        }
    }
    return list;
}

/* ---- the run ---- */

static json_t *counts_json(const struct run_result *result)
{
    json_t *counts = json_object();

    for (unsigned verdict = 0; verdict < VERDICTS; verdict++) {
        size_t count = 0;
        for (size_t s = 0; s < result->count; s++)
            count += result->subjects[s].totals[verdict];
        json_object_set_new(counts, verdict_name(verdict), json_integer((json_int_t)count));
    }
    return counts;
}

static json_t *invocation_json(const struct run_result *result, const char *const *allowed)
{
    struct gate gate = run_result_weigh(result, allowed);
    char words[512];

    gate_text(words, sizeof words, result, allowed);
    return json_pack("{s:b, s:o, s:{s:s}}", "executionSuccessful", gate.status != 2,
                     "toolExecutionNotifications", notifications_json(result, allowed),
                     "properties", "gate", words);
}

json_t *report_sarif(const struct run_result *result, const char *const *allowed)
{
    json_t *tool = json_pack("{s:{s:s, s:s, s:o}}", "driver", "name", "strongroom", "version",
                             STRONGROOM_VERSION, "rules", rules_json(result));
    json_t *properties = json_pack("{s:o, s:o, s:i}", "verdicts", counts_json(result), "seed",
                                   json_sprintf("%llu", (unsigned long long)result->seed), "cases",
                                   (int)result->cases);
    json_t *run = json_pack("{s:o, s:[o], s:o, s:o}", "tool", tool, "invocations",
                            invocation_json(result, allowed), "results", results_json(result),
                            "properties", properties);

    return json_pack("{s:s, s:s, s:[o]}", "$schema", SCHEMA, "version", "2.1.0", "runs", run);
}
