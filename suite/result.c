/* SPDX-License-Identifier: MIT */
/* result.c: the names in a result, what it weighs at the gate, and its end. */
#include "result.h"

#include <stdlib.h>
#include <string.h>

#include "promise.h"

const char *verdict_name(enum verdict verdict)
{
    static const char *const names[VERDICTS] = {"holds", "broken", "not offered",
                                                "not observable here", "error"};
    return (unsigned)verdict < VERDICTS ? names[verdict] : "?";
}

const char *promise_level_name(enum promise_level level)
{
    static const char *const names[PROMISE_LEVELS] = {"core", "hardening", "extra"};
    return (unsigned)level < PROMISE_LEVELS ? names[level] : "?";
}

const char *observer_name(unsigned observer)
{
    static const char *const names[OBSERVERS] = {"releases", "locks",     "memory", "faults",
                                                 "traps",    "children",  "limit",  "ipc-lock",
                                                 "process",  "secretmem", "swap",   "cores"};
    for (unsigned bit = 0; bit < OBSERVERS; bit++) {
        if (observer == 1u << bit)
            return names[bit];
    }
    return "?";
}

/* ---- the gate ---- */

static bool named(const char *const *names, const char *name)
{
    for (; names != NULL && *names != NULL; names++) {
        if (strcmp(*names, name) == 0)
            return true;
    }
    return false;
}

static bool is_owed(const struct verdict_record *record)
{
    return !record->unasked && (record->claimed || record->promise->level == PROMISE_CORE);
}

bool verdict_is_unobserved(const struct verdict_record *record, const char *const *allowed)
{
    return record->verdict == VERDICT_NOT_OBSERVABLE && is_owed(record) &&
           !named(allowed, record->promise->id);
}

static void weigh_verdict(struct gate *gate, const struct verdict_record *record,
                          const char *const *allowed)
{
    bool owed = is_owed(record);

    gate->owed += owed;
    switch (record->verdict) {
    case VERDICT_HOLDS:
        gate->holds += owed;
        break;
    case VERDICT_BROKEN:
        gate->broken++;
        break;
    case VERDICT_NOT_OFFERED:
        gate->not_offered += owed;
        break;
    case VERDICT_NOT_OBSERVABLE:
        if (verdict_is_unobserved(record, allowed))
            gate->unobserved++;
        else
            gate->allowed += owed;
        break;
    case VERDICT_ERROR:
    default: /* what is no verdict is as bad as an error */
        gate->errors++;
        break;
    }
}

/* An error comes first: what a harness that failed says about the rest is worth little. Where
 * nothing was judged, nothing was found good either. */
static int gate_status(const struct gate *gate, size_t judged)
{
    if (gate->errors > 0 || judged == 0)
        return 2;
    if (gate->broken > 0)
        return 1;
    return gate->unobserved > 0 ? 3 : 0;
}

struct gate run_result_weigh(const struct run_result *result, const char *const *allowed)
{
    struct gate gate = {0};
    size_t judged = 0;

    for (size_t s = 0; s < result->count; s++) {
        const struct subject_result *subject = &result->subjects[s];
        for (size_t v = 0; v < subject->count; v++)
            weigh_verdict(&gate, &subject->verdicts[v], allowed);
        judged += subject->count;
    }
    gate.status = gate_status(&gate, judged);
    return gate;
}

int run_result_gate(const struct run_result *result, const char *const *allowed)
{
    return run_result_weigh(result, allowed).status;
}

int run_result_compared(const struct run_result *result)
{
    return run_result_weigh(result, NULL).status == 2 ? 2 : 0;
}

/* ---- the end ---- */

static void verdict_record_free(struct verdict_record *record)
{
    json_decref(record->evidence.details);
    json_decref(record->positive.details);
    json_decref(record->negative.details);
}

void subject_result_free(struct subject_result *subject)
{
    for (char **claim = subject->claims; claim != NULL && *claim != NULL; claim++)
        free(*claim);
    free(subject->claims);
    for (size_t v = 0; v < subject->count; v++)
        verdict_record_free(&subject->verdicts[v]);
    free(subject->verdicts);
    *subject = (struct subject_result){0};
}

void run_result_free(struct run_result *result)
{
    json_decref(result->operations);
    json_decref(result->looks);
    for (size_t s = 0; s < result->count; s++)
        subject_result_free(&result->subjects[s]);
    free(result->subjects);
    free(result->skipped);
    free(result->sizes);
    free(result->sizes_bytes);
    json_decref(result->host.observers);
    *result = (struct run_result){0};
}
