/* SPDX-License-Identifier: MIT */
/*
 * fake_run.c: a run() that judges nothing: it makes up results, so that the program's command
 * line, its reports and its exit statuses can be tested without cases, and seen for every verdict.
 *
 * Its subjects: `good` keeps all, `bad` breaks one core promise, `blind` could not be seen at all,
 * `faulty` has one error, `bare` offers and claims nothing, `unclaimed` keeps the core only,
 * `a-name-that-is-rather-long` is as good, `loud` says control characters.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/subject.h"
#include "suite/nearest.h"
#include "suite/run.h"

/* ---- promises ---- */

#define PROMISE(name, id_, level_, observers_, entries_)                                         \
    static const struct promise name = {                                                         \
        .id = id_,                                                                               \
        .level = level_,                                                                         \
        .statement = "This is what " id_ " says, in one sentence that is long enough to need a " \
                     "second line on a page of common width.",                                   \
        .observed = "By looking.",                                                               \
        .in_practice = "Not looking.",                                                           \
        .observers = observers_,                                                                 \
        .entries = entries_,                                                                     \
    }

PROMISE(locked, "locked", PROMISE_CORE, OBSERVE_LOCKS, 0);
PROMISE(accounting, "accounting", PROMISE_CORE, OBSERVE_LOCKS | OBSERVE_LIMIT, MODEL_ENTRY_CLOSE);
PROMISE(zero_on_free, "zero-on-free", PROMISE_CORE, OBSERVE_RELEASES | OBSERVE_MEMORY, 0);
PROMISE(guard_after, "guard-after", PROMISE_HARDENING, OBSERVE_TRAPS, 0);
PROMISE(fork_child, "fork", PROMISE_HARDENING, OBSERVE_CHILDREN, 0);
PROMISE(unreadable, "unreadable", PROMISE_EXTRA, OBSERVE_MEMORY, 0);

const struct promise *const promises[] = {&locked,     &accounting, &zero_on_free, &guard_after,
                                          &fork_child, &unreadable, NULL};

const struct promise *promise_find(const char *id)
{
    for (const struct promise *const *p = promises; *p != NULL; p++) {
        if (strcmp((*p)->id, id) == 0)
            return *p;
    }
    return NULL;
}

/* ---- subjects ---- */

static const char *const fake_names[] = {
    "good", "bad", "blind", "faulty", "bare", "unclaimed", "a-name-that-is-rather-long",
    "loud", NULL};

static bool keeps_all(const char *name)
{
    return strcmp(name, "good") == 0 || strcmp(name, "loud") == 0 || strncmp(name, "a-", 2) == 0;
}

static enum verdict verdict_of(const char *name, const struct promise *promise)
{
    bool core = promise->level == PROMISE_CORE;

    if (keeps_all(name))
        return VERDICT_HOLDS;
    if (strcmp(name, "blind") == 0)
        return promise == &zero_on_free ? VERDICT_HOLDS : VERDICT_NOT_OBSERVABLE;
    if (strcmp(name, "bad") == 0 && promise == &zero_on_free)
        return VERDICT_BROKEN;
    if (strcmp(name, "faulty") == 0 && promise == &fork_child)
        return VERDICT_ERROR;
    if (strcmp(name, "bare") == 0)
        return VERDICT_NOT_OFFERED;
    return core ? VERDICT_HOLDS : VERDICT_NOT_OFFERED;
}

static const char *summary_of(const char *name, enum verdict verdict)
{
    static const char *const summaries[VERDICTS] = {
        [VERDICT_HOLDS] = "38 of 40 sizes looked at, 38 right, 2 refused with ENOMEM (256 KiB, "
                          "256 KiB+1)",
        [VERDICT_BROKEN] = "32 of 32 bytes of the secret still there when free(0x5581f6c2a2a0, 32) "
                           "returned, and in 39 of 40 further sizes, from 1 to 262145",
        [VERDICT_NOT_OFFERED] = "not claimed, and not seen: no trap within 65536 bytes",
        [VERDICT_NOT_OBSERVABLE] = "/proc/PID/mem of the case: Permission denied",
        [VERDICT_ERROR] = "the control that leaks was not seen to leak",
    };
    return strcmp(name, "loud") == 0 ? "\033[2J one\nline" : summaries[verdict];
}

static struct evidence fake_evidence(const char *summary)
{
    struct evidence evidence = {.cases = 40, .kept = 38, .refused = 2};

    snprintf(evidence.summary, sizeof evidence.summary, "%s", summary);
    evidence.details = json_pack("{s:[s, s]}", "sizes", "1", "page-1");
    return evidence;
}

static void judge(struct subject_result *subject, const struct promise *promise)
{
    struct verdict_record *record = &subject->verdicts[subject->count++];

    *record = (struct verdict_record){.promise = promise};
    record->verdict = verdict_of(subject->name, promise);
    record->claimed = strcmp(subject->name, "bare") != 0 && strcmp(subject->name, "unclaimed") != 0;
    if (record->verdict == VERDICT_NOT_OFFERED)
        record->claimed = false;
    record->evidence = fake_evidence(summary_of(subject->name, record->verdict));
    record->positive = fake_evidence("32 bytes left, as they should be");
    record->negative = fake_evidence("nothing left");
    if (record->verdict == VERDICT_BROKEN || record->verdict == VERDICT_ERROR)
        snprintf(record->repeat, sizeof record->repeat,
                 "strongroom verify %s --only %s --case n=32 --seed 7", subject->name, promise->id);
    subject->totals[record->verdict]++;
}

static bool asked_for(const char *const *only, const char *id)
{
    for (; only != NULL && *only != NULL; only++) {
        if (strcmp(*only, id) == 0)
            return true;
    }
    return only == NULL;
}

static void fake_subject(struct subject_result *subject, const char *name)
{
    snprintf(subject->name, sizeof subject->name, "%s", name);
    snprintf(subject->library, sizeof subject->library, "fake");
    snprintf(subject->version, sizeof subject->version, "%s",
             strcmp(name, "loud") == 0 ? "1\xff\033[31m" : "1.2.3");
    snprintf(subject->path, sizeof subject->path, "/build/subjects/%s.so", name);
    subject->claims = calloc(3, sizeof *subject->claims);
    if (subject->claims != NULL && strcmp(name, "bare") != 0)
        subject->claims[0] = strdup(strcmp(name, "loud") == 0 ? "unheard-of" : "locked");
}

static bool fake_known(const char *name, char *error, size_t error_bytes)
{
    const char *close;

    for (size_t i = 0; fake_names[i] != NULL; i++) {
        if (strcmp(fake_names[i], name) == 0)
            return true;
    }
    close = nearest(name, fake_names);
    snprintf(error, error_bytes, "unknown subject '%s'%s%s%s", name,
             close != NULL ? "; did you mean '" : "", close != NULL ? close : "",
             close != NULL ? "'?" : "");
    return false;
}

static void fake_host(struct run_result *result)
{
    result->host = (struct host_facts){.kernel = "Linux 6.18",
                                       .machine = "x86_64",
                                       .user = "uid 1000",
                                       .page_bytes = 4096,
                                       .cores = 2,
                                       .memlock_soft_bytes = 8u << 20,
                                       .memlock_hard_bytes = UINT64_MAX};
    result->host.observers = json_pack("{s:s}", "locks", "available");
    result->elapsed_ms = 12345;
    result->cases = 1234;
    result->skipped_count = 2;
    result->skipped = calloc(2, sizeof *result->skipped);
    result->skipped[0] = (struct skipped_subject){"memguard", "needs a Go compiler: golang-go"};
    result->skipped[1] = (struct skipped_subject){"memsec", "needs librust-memsec-dev and cargo"};
    result->sizes_count = 3;
    result->sizes = calloc(3, sizeof *result->sizes);
    result->sizes_bytes = calloc(3, sizeof *result->sizes_bytes);
    for (size_t i = 0; i < 3; i++) {
        snprintf(result->sizes[i], sizeof *result->sizes, "%s", i == 0 ? "1" : "page-1");
        result->sizes_bytes[i] = i == 0 ? 1 : 4095;
    }
}

/* FAKE_SLOW in the environment: seconds that it takes. */
static void fake_work(const struct run_settings *settings)
{
    const char *slow = getenv("FAKE_SLOW");
    long steps = slow != NULL ? strtol(slow, NULL, 10) * 10 : 0;

    for (long i = 0; i < steps; i++) {
        settings->progress(settings->progress_arg, (size_t)i, (size_t)steps, "good", "locked");
        usleep(100000);
    }
}

bool run(const struct run_settings *settings, struct run_result *result, char *error,
         size_t error_bytes)
{
    const char *const *names = settings->subjects != NULL ? settings->subjects : fake_names;
    size_t count = 0;

    for (; names[count] != NULL; count++) {
        if (!fake_known(names[count], error, error_bytes))
            return false;
    }
    fake_work(settings);
    fake_host(result);
    result->seed = settings->seeded ? settings->seed : 7;
    result->count = count;
    result->subjects = calloc(count, sizeof *result->subjects);
    for (size_t s = 0; s < count; s++) {
        fake_subject(&result->subjects[s], names[s]);
        result->subjects[s].verdicts = calloc(6, sizeof *result->subjects[s].verdicts);
        for (const struct promise *const *p = promises; *p != NULL; p++) {
            if (asked_for(settings->only, (*p)->id))
                judge(&result->subjects[s], *p);
        }
    }
    return true;
}

bool catalog_list(struct catalog_entry **entries, size_t *count, struct skipped_subject **skipped,
                  size_t *skipped_count, char *error, size_t error_bytes)
{
    struct run_result result = {0};

    (void)error, (void)error_bytes;
    fake_host(&result);
    *skipped = result.skipped;
    *skipped_count = result.skipped_count;
    result.skipped = NULL;
    run_result_free(&result);
    *count = 3;
    *entries = calloc(3, sizeof **entries);
    for (size_t i = 0; i < *count; i++) {
        fake_subject(&(*entries)[i].subject, fake_names[i]);
        (*entries)[i].entries = i == 0 ? 63 : 1;
    }
    return true;
}

bool replay_print(const char *program_path, char *error, size_t error_bytes)
{
    (void)program_path;
    (void)error;
    (void)error_bytes;
    return true;
}

int replay(const char *program_path, const char *subject, const char *variant,
           const struct run_settings *settings, char *error, size_t error_bytes)
{
    (void)variant;
    (void)settings;
    if (!fake_known(subject, error, error_bytes))
        return 2;
    printf("replayed %s on %s\n", program_path, subject);
    return 0;
}
