/* SPDX-License-Identifier: MIT */
/* judge.c: the rules that are the same for every promise. */
#include "suite/judge.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- evidence ---- */

void say(struct evidence *evidence, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(evidence->summary, sizeof evidence->summary, format, arguments);
    va_end(arguments);
}

void note_number(struct evidence *evidence, const char *key, uint64_t value)
{
    (void)json_object_set_new(evidence->details, key, json_integer((json_int_t)value));
}

void note_address(struct evidence *evidence, const char *key, uint64_t address)
{
    char text[24];
    (void)snprintf(text, sizeof text, "0x%" PRIx64, address);
    note_text(evidence, key, text);
}

void note_text(struct evidence *evidence, const char *key, const char *text)
{
    (void)json_object_set_new(evidence->details, key, json_string(text));
}

uint64_t noted(const struct evidence *evidence, const char *key, uint64_t fallback)
{
    const json_t *value = json_object_get(evidence->details, key);
    return json_is_integer(value) ? (uint64_t)json_integer_value(value) : fallback;
}

/* ---- what was seen ---- */

const struct seen *next_seen(const struct case_run *run, enum seen_kind kind, size_t *at)
{
    while (*at < run->count)
        if (run->seen[(*at)++].kind == kind)
            return &run->seen[*at - 1];
    return NULL;
}

const struct seen *last_operation(const struct case_run *run, enum model_code code)
{
    for (size_t i = run->count; i-- > 0;)
        if (run->seen[i].kind == SEEN_OPERATION && run->seen[i].operation.code == code)
            return &run->seen[i];
    return NULL;
}

static const char *errno_name(int error)
{
    const char *name = strerrorname_np(error);
    return name != NULL ? name : "an unknown errno";
}

static const char *signal_name(int number)
{
    const char *name = sigabbrev_np(number);
    return name != NULL ? name : "?";
}

static bool allocates(unsigned code)
{
    return code == MODEL_OPEN || code == MODEL_ALLOC || code == MODEL_ALLOC_ALIGNED;
}

bool refused(const struct case_run *run, struct evidence *evidence)
{
    for (size_t i = 0; i < run->count; i++) {
        const struct seen *seen = &run->seen[i];
        if (seen->kind != SEEN_OPERATION || !allocates(seen->operation.code) ||
            seen->event.outcome != MODEL_REFUSED)
            continue;
        /* It may be unable to align so: contract/strongroom.h. All else can still be looked at. */
        if (seen->operation.code == MODEL_ALLOC_ALIGNED && seen->event.error == EINVAL)
            continue;
        say(evidence, "%s said no: %s", seen->operation.code == MODEL_OPEN ? "open" : "alloc",
            errno_name(seen->event.error));
        return true;
    }
    return false;
}

bool died(const struct case_run *run, struct evidence *evidence)
{
    for (size_t i = 0; i < run->count; i++) {
        const struct seen *seen = &run->seen[i];
        char operation[96];
        if (seen->kind != SEEN_OPERATION || seen->event.outcome != MODEL_DIED ||
            seen->operation.code == MODEL_MISUSE)
            continue;
        (void)model_operation_print(&seen->operation, operation, sizeof operation);
        if (seen->event.signal != 0)
            say(evidence, "died by SIG%s in `%s`", signal_name(seen->event.signal), operation);
        else
            say(evidence, "ended the program in `%s`: \"%s\"", operation, seen->event.message);
        return true;
    }
    return false;
}

enum finding worse(enum finding a, enum finding b)
{
    static const int rank[] = {
        [FINDING_KEPT] = 0, [FINDING_REFUSED] = 1, [FINDING_UNSEEN] = 2, [FINDING_BROKEN] = 3};
    return rank[a] >= rank[b] ? a : b;
}

enum finding contents_kept(const struct case_run *run, struct evidence *evidence)
{
    size_t at = 0;
    for (const struct seen *seen; (seen = next_seen(run, SEEN_CHECK, &at)) != NULL;) {
        if (seen->good)
            continue;
        char operation[96];
        say(evidence, "a live secret changed: %s (seen at `%s`)", seen->text,
            model_operation_print(&seen->operation, operation, sizeof operation));
        return FINDING_BROKEN;
    }
    return FINDING_KEPT;
}

enum finding locks_seen(const struct case_run *run, const struct seen *seen,
                        struct evidence *evidence)
{
    const struct target_locks *locks = &seen->locks;
    if (!seen->good) {
        say(evidence, "smaps could not be read");
        return FINDING_UNSEEN;
    }
    if (locks->lo_pages < locks->pages) {
        say(evidence,
            "%" PRIu64 " of %" PRIu64 " pages at 0x%" PRIx64
            " are not locked, the first at 0x%" PRIx64 ": %s",
            locks->pages - locks->lo_pages, locks->pages, seen->event.address,
            locks->first_unlocked, locks->map);
        note_address(evidence, "secret", seen->event.address);
        note_address(evidence, "first_unlocked", locks->first_unlocked);
        note_number(evidence, "pages", locks->pages);
        note_number(evidence, "pages_locked", locks->lo_pages);
        note_number(evidence, "pages_pageout_refused", seen->pageout_pages);
        note_number(evidence, "vmlck_bytes", seen->locked_bytes);
        note_text(evidence, "map", locks->map);
        return FINDING_BROKEN;
    }
    if (seen->pageout_pages < locks->pages || seen->locked_bytes < locks->pages * run->page_bytes) {
        say(evidence,
            "the witnesses disagree: lo on %" PRIu64 " pages, MADV_PAGEOUT refused on %" PRIu64
            ", VmLck %" PRIu64 " bytes",
            locks->lo_pages, seen->pageout_pages, seen->locked_bytes);
        return FINDING_UNSEEN;
    }
    return FINDING_KEPT;
}

enum finding locks_kept(const struct case_run *run, struct evidence *evidence)
{
    enum finding all = FINDING_KEPT;
    size_t at = 0;
    for (const struct seen *seen; (seen = next_seen(run, SEEN_LOCKS, &at)) != NULL;) {
        enum finding one = locks_seen(run, seen, evidence);
        if (one == FINDING_BROKEN)
            return one;
        all = worse(all, one);
    }
    return all;
}

enum finding locks_as_before(const struct case_run *run, struct evidence *evidence)
{
    uint64_t before[MODEL_SLOTS] = {0};
    bool known[MODEL_SLOTS] = {false};
    size_t at = 0;
    for (const struct seen *seen; (seen = next_seen(run, SEEN_LOCKS, &at)) != NULL;) {
        unsigned slot = seen->operation.slot;
        if (!seen->good) {
            say(evidence, "smaps could not be read");
            return FINDING_UNSEEN;
        }
        if (known[slot] && seen->locks.lo_pages < before[slot]) {
            enum finding finding = locks_seen(run, seen, evidence);
            char rest[320];
            (void)strncpy(rest, evidence->summary, sizeof rest - 1);
            rest[sizeof rest - 1] = '\0';
            say(evidence, "a live secret lost its lock: %.250s", rest);
            if (finding != FINDING_KEPT) /* it may have moved to where it needs fewer pages */
                return finding;
        }
        known[slot] = true;
        before[slot] = seen->locks.lo_pages;
    }
    return FINDING_KEPT;
}

/* ---- one case ---- */

bool judge_harness(const struct case_run *run, char *why, size_t why_bytes)
{
    if (run->ending != ENDED_FAILED)
        return false;
    (void)snprintf(why, why_bytes, "case '%s': %s", run->label, run->text);
    return true;
}

/* How a case that did not run to its end ended: the subject's doing. */
static void say_ending(const struct case_run *run, struct evidence *evidence)
{
    switch (run->ending) {
    case ENDED_EXITED:
        say(evidence, "exited with status %d in `%s`", run->code, run->operation);
        break;
    case ENDED_KILLED:
        say(evidence, "was killed by SIG%s in `%s`", signal_name(run->code), run->operation);
        break;
    case ENDED_LOST:
        say(evidence, "closed descriptors that are not its own in `%s`", run->operation);
        break;
    case ENDED_HUNG:
        say(evidence, "hung in `%s`, also alone with three times the time", run->operation);
        break;
    case ENDED_REFUSED:
        say(evidence, "cannot be loaded: %s", run->text);
        break;
    case ENDED_FINISHED:
    case ENDED_FAILED:
        break;
    }
    note_text(evidence, "operation", run->operation);
}

static bool signalled_others(const struct case_run *run, struct evidence *evidence)
{
    size_t at = 0;
    const struct seen *seen = next_seen(run, SEEN_SIGNAL, &at);
    if (seen != NULL)
        say(evidence, "sent a signal outside of its case: %s", seen->text);
    return seen != NULL;
}

/* A secret that could not be written is for `sizes` to judge; to all others nothing was planted, so
 * that nothing found means nothing. */
static bool unplanted(const struct promise *promise, const struct case_run *run,
                      struct evidence *evidence)
{
    size_t at = 0;
    for (const struct seen *seen; (seen = next_seen(run, SEEN_OPERATION, &at)) != NULL;) {
        if (seen->operation.code != MODEL_FILL || seen->event.outcome != MODEL_TRAPPED ||
            strcmp(promise->id, "sizes") == 0)
            continue;
        say(evidence, "no secret could be planted in the %" PRIu64 " bytes at 0x%" PRIx64,
            seen->event.size_bytes, seen->event.address);
        return true;
    }
    return false;
}

/* Each operation is told of, to the last, or to the one in which the subject died. */
static bool unfinished(const struct case_run *run, struct evidence *evidence)
{
    size_t told = 0, at = 0;
    for (const struct seen *seen; (seen = next_seen(run, SEEN_OPERATION, &at)) != NULL; told++)
        if (seen->event.outcome == MODEL_DIED)
            return false;
    if (run->program == NULL || told == run->program->count)
        return false;
    say(evidence, "ended after %zu of %zu operations, and said that it was done", told,
        run->program->count);
    return true;
}

enum finding judge_case(const struct promise *promise, const struct case_run *run,
                        struct evidence *evidence)
{
    unsigned missing = promise->observers & ~run->observers;
    if (signalled_others(run, evidence))
        return FINDING_BROKEN;
    if (run->ending != ENDED_FINISHED) {
        say_ending(run, evidence);
        return FINDING_BROKEN;
    }
    if (unfinished(run, evidence))
        return FINDING_BROKEN;
    if (missing != 0) {
        say(evidence, "the observer of %s was not at work",
            observer_name(missing & (~missing + 1)));
        return FINDING_UNSEEN;
    }
    if (!promise->deadly && died(run, evidence))
        return FINDING_BROKEN;
    if (unplanted(promise, run, evidence))
        return FINDING_UNSEEN;
    return promise->judge(run, evidence);
}

/* ---- a promise ---- */

static void label_note(struct evidence *total, const char *key, const char *label)
{
    json_t *list = json_object_get(total->details, key);
    if (list == NULL) {
        list = json_array();
        (void)json_object_set_new(total->details, key, list);
    }
    (void)json_array_append_new(list, json_string(label));
}

/* Numbers named *_max keep the largest over all cases, *_min the smallest, *_sum add up. */
static void number_merge(json_t *into, const char *key, const json_t *value)
{
    size_t length = strlen(key);
    const json_t *old = json_object_get(into, key);
    json_int_t a = json_integer_value(old), b = json_integer_value(value);
    const char *suffix = length > 4 ? key + length - 4 : "";
    if (!json_is_integer(old) || !json_is_integer(value))
        return;
    if (strcmp(suffix, "_max") == 0)
        a = a > b ? a : b;
    else if (strcmp(suffix, "_min") == 0)
        a = a < b ? a : b;
    else if (strcmp(suffix, "_sum") == 0)
        a += b;
    (void)json_object_set_new(into, key, json_integer(a));
}

static void details_merge(json_t *into, json_t *from, bool deciding)
{
    const char *key;
    json_t *value;
    json_object_foreach(from, key, value)
    {
        if (json_object_get(into, key) != NULL)
            number_merge(into, key, value);
        else if (deciding || strstr(key, "_max") || strstr(key, "_min") || strstr(key, "_sum"))
            (void)json_object_set(into, key, value);
    }
}

void evidence_add(struct evidence *total, const char *label, enum finding finding,
                  struct evidence *one)
{
    static const char *const lists[] = {[FINDING_KEPT] = NULL,
                                        [FINDING_BROKEN] = "broken_cases",
                                        [FINDING_REFUSED] = "refused_cases",
                                        [FINDING_UNSEEN] = "unseen_cases"};
    unsigned *const counts[] = {[FINDING_KEPT] = &total->kept,
                                [FINDING_BROKEN] = &total->broken,
                                [FINDING_REFUSED] = &total->refused,
                                [FINDING_UNSEEN] = &total->unseen};
    /* The summary is that of the worst finding, and of the first case that showed it. */
    bool worst = total->cases == 0 || (finding == FINDING_BROKEN && total->broken == 0) ||
                 (finding == FINDING_UNSEEN && total->broken + total->unseen == 0) ||
                 (finding == FINDING_KEPT && total->broken + total->unseen + total->kept == 0);
    if (worst) {
        if (one->summary[0] != '\0' && finding != FINDING_KEPT)
            (void)snprintf(total->summary, sizeof total->summary, "%.40s: %.270s", label,
                           one->summary);
        else
            (void)snprintf(total->summary, sizeof total->summary, "%s", one->summary);
        note_text(total, "deciding_case", label);
    }
    details_merge(total->details, one->details, worst);
    if (lists[finding] != NULL)
        label_note(total, lists[finding], label);
    (*counts[finding])++;
    total->cases++;
}

enum verdict judge_verdict(const struct promise *promise, bool claimed,
                           const struct evidence *evidence)
{
    bool owed = claimed || promise->level == PROMISE_CORE;
    if (evidence->broken > 0)
        return owed ? VERDICT_BROKEN : VERDICT_NOT_OFFERED;
    if (evidence->kept == 0 || evidence->unseen > 0)
        return VERDICT_NOT_OBSERVABLE;
    return VERDICT_HOLDS;
}

enum vouching judge_controls(const struct promise *promise, const struct evidence *positive,
                             const struct evidence *negative, char *why, size_t why_bytes)
{
    if (negative->refused == negative->cases && negative->cases > 0) {
        (void)snprintf(why, why_bytes, "the control that must pass was refused memory: %.200s",
                       negative->summary);
        return CONTROLS_REFUSED;
    }
    if (positive->broken == 0 ||
        (!promise->control_partly && positive->kept + positive->unseen > 0)) {
        (void)snprintf(why, why_bytes,
                       "the control that must be caught was caught in %u of %u cases only",
                       positive->broken, positive->cases);
        return CONTROLS_FAILED;
    }
    if (negative->broken > 0 || negative->unseen > 0 || negative->kept == 0) {
        (void)snprintf(why, why_bytes, "the control that must pass did not: %.200s",
                       negative->summary);
        return CONTROLS_FAILED;
    }
    return promise->controls == NULL || promise->controls(positive, negative, why, why_bytes)
               ? CONTROLS_VOUCH
               : CONTROLS_FAILED;
}
