/* SPDX-License-Identifier: MIT */
/* json.c: a result as docs/strongroom-result-1.schema.json describes it. */
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "text.h"

static json_t *number(uint64_t value)
{
    return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

/* null: unlimited */
static json_t *limit(uint64_t bytes)
{
    return bytes == UINT64_MAX ? json_null() : number(bytes);
}

/* A seed has 64 bits, and most readers of JSON keep 53 of a number: so it is a string. */
static json_t *seed_text(uint64_t seed)
{
    return json_sprintf("%llu", (unsigned long long)seed);
}

/* A copy: the result keeps its own. */
static json_t *object_or_empty(json_t *object)
{
    return json_is_object(object) ? json_deep_copy(object) : json_object();
}

static json_t *evidence_json(const struct evidence *evidence)
{
    return json_pack("{s:o, s:i, s:i, s:i, s:i, s:i, s:o, s:o}", "summary",
                     text_json(evidence->summary), "cases", (int)evidence->cases, "kept",
                     (int)evidence->kept, "broken", (int)evidence->broken, "refused",
                     (int)evidence->refused, "unseen", (int)evidence->unseen, "elapsed_ms",
                     number(evidence->elapsed_ms), "details", object_or_empty(evidence->details));
}

static json_t *verdict_json(const struct verdict_record *record)
{
    return json_pack("{s:s, s:s, s:s, s:b, s:o, s:{s:o, s:o}, s:o}", "promise", record->promise->id,
                     "level", promise_level_name(record->promise->level), "verdict",
                     verdict_name(record->verdict), "claimed", (int)record->claimed, "evidence",
                     evidence_json(&record->evidence), "controls", "positive",
                     evidence_json(&record->positive), "negative", evidence_json(&record->negative),
                     "repeat", text_json(record->repeat));
}

static json_t *claims_json(const struct subject_result *subject)
{
    json_t *claims = json_array();

    for (char **claim = subject->claims; claim != NULL && *claim != NULL; claim++)
        json_array_append_new(claims, text_json(*claim));
    return claims;
}

static json_t *totals_json(const struct subject_result *subject)
{
    json_t *totals = json_object();

    for (unsigned verdict = 0; verdict < VERDICTS; verdict++)
        json_object_set_new(totals, verdict_name(verdict), number(subject->totals[verdict]));
    return totals;
}

static json_t *subject_json(const struct subject_result *subject)
{
    json_t *verdicts = json_array();

    for (size_t v = 0; v < subject->count; v++)
        json_array_append_new(verdicts, verdict_json(&subject->verdicts[v]));
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "name", text_json(subject->name), "library",
                     text_json(subject->library), "version", text_json(subject->version), "claims",
                     claims_json(subject), "verdicts", verdicts, "summary", totals_json(subject));
}

static json_t *host_json(const struct host_facts *host)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "kernel", text_json(host->kernel),
                     "machine", text_json(host->machine), "user", text_json(host->user),
                     "page_bytes", json_integer(host->page_bytes), "cores", number(host->cores),
                     "memlock_soft_bytes", limit(host->memlock_soft_bytes), "memlock_hard_bytes",
                     limit(host->memlock_hard_bytes), "observers",
                     object_or_empty(host->observers));
}

static json_t *skipped_json(const struct skipped_subject *skipped, size_t count)
{
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_pack("{s:o, s:o}", "name", text_json(skipped[i].name),
                                              "reason", text_json(skipped[i].reason)));
    return list;
}

static json_t *sizes_json(const struct run_result *result)
{
    json_t *list = json_array();

    for (size_t i = 0; i < result->sizes_count; i++)
        json_array_append_new(list, json_pack("{s:o, s:o}", "size", text_json(result->sizes[i]),
                                              "bytes", number(result->sizes_bytes[i])));
    return list;
}

json_t *report_json(const struct run_result *result)
{
    json_t *subjects = json_array();

    for (size_t s = 0; s < result->count; s++)
        json_array_append_new(subjects, subject_json(&result->subjects[s]));
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "schema",
                     "strongroom-result/1", "host", host_json(&result->host), "subjects", subjects,
                     "skipped", skipped_json(result->skipped, result->skipped_count), "sizes",
                     sizes_json(result), "seed", seed_text(result->seed), "elapsed_ms",
                     number(result->elapsed_ms), "cases", number(result->cases), "operations",
                     object_or_empty(result->operations), "looks", object_or_empty(result->looks));
}

/* ---- list ---- */

static json_t *entries_json(unsigned entries)
{
    json_t *list = json_pack("[s, s, s]", "open", "alloc", "free");

    for (unsigned bit = 0; entry_name(bit) != NULL; bit++) {
        if (entries & 1u << bit)
            json_array_append_new(list, json_string(entry_name(bit)));
    }
    return list;
}

static json_t *observers_json(unsigned observers)
{
    json_t *list = json_array();

    for (unsigned bit = 0; bit < OBSERVERS; bit++) {
        if (observers & 1u << bit)
            json_array_append_new(list, json_string(observer_name(1u << bit)));
    }
    return list;
}

static json_t *promises_json(void)
{
    json_t *list = json_array();

    for (const struct promise *const *p = promises; *p != NULL; p++)
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:b, s:s, s:s, s:s, s:o, s:o}", "id", (*p)->id, "level",
                            promise_level_name((*p)->level), "slow", (*p)->slow, "statement",
                            (*p)->statement, "observed", (*p)->observed, "in_practice",
                            (*p)->in_practice, "needs", entries_json((*p)->entries), "observers",
                            observers_json((*p)->observers)));
    return list;
}

json_t *report_list_json(const struct catalog_entry *entries, size_t count,
                         const struct skipped_subject *skipped, size_t skipped_count)
{
    json_t *subjects = json_array();

    for (size_t i = 0; i < count; i++) {
        const struct subject_result *subject = &entries[i].subject;
        json_array_append_new(
            subjects,
            json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "name", text_json(subject->name), "library",
                      text_json(subject->library), "version", text_json(subject->version), "path",
                      text_json(subject->path), "offers", entries_json(entries[i].entries),
                      "claims", claims_json(subject)));
    }
    return json_pack("{s:s, s:o, s:o, s:o}", "schema", "strongroom-list/1", "subjects", subjects,
                     "skipped", skipped_json(skipped, skipped_count), "promises", promises_json());
}
