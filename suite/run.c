/* SPDX-License-Identifier: MIT */
/*
 * run.c: all cases of all promises on all subjects, side by side, and what they come to.
 *
 *   unit = (subject, promise)     the controls are subjects 0 to 2
 *   job  = one case of a unit     executed by the workers, unit by unit and case by case in the order
 *                                 that the seed gives
 */
#include "suite/run.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "suite/catalog.h"
#include "suite/judge.h"
#include "suite/nearest.h"
#include "suite/plan.h"

#define PROMISES_MAX 64u
#define POSITIVE 0u /* the control that must be caught */
#define NEGATIVE 1u /* the control that must pass */
#define CONTROLS 3u /* and one more that must, for the promises that name it */

struct unit {
    struct evidence evidence;
    char harness[320];         /* why no verdict is possible; "": it is */
    bool hung;                 /* one of its cases did: the others wait until that is settled */
    bool gathered;             /* what its jobs found is in evidence */
    size_t first, count, done; /* its jobs, which lie one behind another */
};

enum job_state { JOB_WAITING, JOB_DONE, JOB_HUNG, JOB_DROPPED };

struct job {
    size_t subject, promise;
    const struct planned_case *planned;
    enum job_state state;
    enum finding finding;
    bool failed; /* the harness did: the summary says how */
    struct evidence evidence;
    uint64_t elapsed_ms;
};

struct runner {
    const struct run_settings *settings;
    struct host *host;
    struct candidates candidates; /* controls first */
    size_t promises_count;
    const struct promise *promises[PROMISES_MAX];
    struct plan plans[PROMISES_MAX];
    struct unit *units; /* [subject * promises_count + promise] */
    size_t jobs_count, jobs_next, jobs_done;
    struct job *jobs;
    size_t *order; /* of the jobs */
    uint64_t seed;
    uint64_t told_ms;
    unsigned workers;                                    /* so many have begun */
    uint64_t operations[MODEL_CODES], looks[SEEN_KINDS]; /* how often; with the lock held */
    pthread_mutex_t lock;
};

static uint64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static struct unit *unit_of(const struct runner *runner, size_t subject, size_t promise)
{
    return &runner->units[subject * runner->promises_count + promise];
}

static const struct variant *variant_of(const struct runner *runner, size_t subject)
{
    return &runner->candidates.list[subject].variant;
}

/* ---- what is to be run ---- */

static bool named(const char *const *names, const char *name)
{
    for (; names != NULL && *names != NULL; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

static bool promise_chosen(const struct run_settings *settings, const struct promise *promise)
{
    if (named(settings->skip, promise->id))
        return false;
    if (settings->only != NULL)
        return named(settings->only, promise->id);
    return !promise->slow || !settings->skip_slow;
}

static bool promises_choose(struct runner *runner, char *error, size_t error_bytes)
{
    const char *known[PROMISES_MAX + 1] = {NULL};
    for (size_t i = 0; promises[i] != NULL && i < PROMISES_MAX; i++)
        known[i] = promises[i]->id;
    for (size_t i = 0; runner->settings->only != NULL && runner->settings->only[i] != NULL; i++)
        if (promise_find(runner->settings->only[i]) == NULL) {
            const char *near = nearest(runner->settings->only[i], known);
            (void)snprintf(error, error_bytes, "unknown promise '%s'%s%s%s",
                           runner->settings->only[i], near ? "; did you mean '" : "",
                           near ? near : "", near ? "'?" : "; `strongroom list` shows them");
            return false;
        }
    for (size_t i = 0; known[i] != NULL; i++)
        if (promise_chosen(runner->settings, promises[i]))
            runner->promises[runner->promises_count++] = promises[i];
    if (runner->promises_count == 0)
        (void)snprintf(error, error_bytes, "every promise is skipped: nothing is left to judge");
    return runner->promises_count > 0;
}

static bool plans_make(struct runner *runner, char *error, size_t error_bytes)
{
    bool known = runner->settings->only_case == NULL;
    for (size_t i = 0; i < runner->promises_count; i++) {
        struct plan *plan = &runner->plans[i];
        if (!plan_make(plan, runner->promises[i], runner->settings->quick)) {
            (void)snprintf(error, error_bytes, "promise %s, %s", runner->promises[i]->id,
                           plan->error);
            return false;
        }
        known = known || plan_find(plan, runner->settings->only_case) != NULL;
    }
    if (!known)
        (void)snprintf(error, error_bytes, "no chosen promise has a case '%s'",
                       runner->settings->only_case);
    return known;
}

static const char *const control_names[CONTROLS] = {"leaking", "correct", "secretmem"};

/* The control that a promise must pass on. */
static size_t negative_of(const struct promise *promise)
{
    size_t i = NEGATIVE;
    while (promise->negative != NULL && i + 1 < CONTROLS &&
           strcmp(promise->negative, control_names[i]) != 0)
        i++;
    return i;
}

static bool controls_add(struct runner *runner, char *error, size_t error_bytes)
{
    const char *elsewhere = getenv("STRONGROOM_CONTROLS");
    for (size_t i = 0; i < CONTROLS; i++) {
        char path[PATH_MAX + 32];
        (void)snprintf(path, sizeof path, "%s%s/%s.so",
                       elsewhere != NULL ? elsewhere : runner->host->directory,
                       elsewhere != NULL ? "" : "/controls", control_names[i]);
        if (!candidates_add_file(&runner->candidates, runner->host, path,
                                 runner->settings->timeout_ms, error, error_bytes))
            return false;
        if (runner->candidates.count != i + 1 || runner->candidates.list[i].dead) {
            (void)snprintf(error, error_bytes, "%s: the control does not describe one variant",
                           path);
            return false;
        }
    }
    return true;
}

static bool subjects_add(struct runner *runner, char *error, size_t error_bytes)
{
    const struct run_settings *settings = runner->settings;
    if (settings->subjects == NULL || settings->subjects[0] == NULL)
        return candidates_add_all(&runner->candidates, runner->host, settings->timeout_ms, error,
                                  error_bytes);
    for (size_t i = 0; settings->subjects[i] != NULL; i++)
        if (!candidates_add(&runner->candidates, runner->host, settings->subjects[i],
                            settings->timeout_ms, error, error_bytes))
            return false;
    return true;
}

/* Runs a program on the control that must pass, before anything is judged. */
static bool host_case(const struct runner *runner, const char *text, uint32_t flags,
                      struct case_run *run, char *error, size_t error_bytes)
{
    static struct model_program program;
    if (!model_program_parse(&program, text, NULL, error, error_bytes))
        return false;
    program.flags |= flags;
    struct case_order order = {.variant = variant_of(runner, NEGATIVE),
                               .program = &program,
                               .label = "host",
                               .timeout_ms = runner->settings->timeout_ms};
    supervise(runner->host, &order, run);
    if (run->ending != ENDED_FINISHED)
        (void)snprintf(error, error_bytes, "a first case on the control failed: %s",
                       run->text[0] != '\0' ? run->text : "it did not end");
    return run->ending == ENDED_FINISHED;
}

/* First cases tell what this host lets us see, and whether any memory can be locked at all. */
static bool host_try(struct runner *runner, char *error, size_t error_bytes)
{
    uint32_t most = runner->host->ipc_lock ? MODEL_KEEP_IPC_LOCK : 0;
    struct evidence evidence = {.details = json_object()};
    struct case_run run;
    bool good = host_case(runner, "open\n", most, &run, error, error_bytes);
    if (good)
        host_learn(runner->host, run.observers, run.code);
    case_run_free(&run);
    good = good && host_case(runner, "open\nalloc s0 1\n", 0, &run, error, error_bytes);
    if (good && refused(&run, &evidence))
        host_refuses(runner->host, evidence.summary);
    if (good)
        case_run_free(&run);
    json_decref(evidence.details);
    return good;
}

/* Does the subject have the entries and flags that a promise is about? */
static bool unit_offered(const struct promise *promise, const struct variant *variant)
{
    return (promise->entries & ~variant->is.entries) == 0 &&
           (promise->flags & ~variant->is.flags) == 0;
}

static bool unit_runs(const struct runner *runner, size_t subject, size_t promise)
{
    const struct promise *p = runner->promises[promise];
    const struct candidate *candidate = &runner->candidates.list[subject];
    bool concerned = subject == POSITIVE || subject >= CONTROLS || subject == negative_of(p);
    return concerned && host_lacks(runner->host, p->observers) == NULL && !candidate->dead &&
           unit_offered(p, &candidate->variant);
}

static void jobs_add_unit(struct runner *runner, size_t subject, size_t promise)
{
    const struct plan *plan = &runner->plans[promise];
    struct unit *unit = unit_of(runner, subject, promise);
    const char *only = subject < CONTROLS ? NULL : runner->settings->only_case;
    unit->first = runner->jobs_count;
    for (size_t i = 0; i < plan->count; i++)
        if (only == NULL || strcmp(only, plan->cases[i].label) == 0)
            runner->jobs[runner->jobs_count++] =
                (struct job){.subject = subject, .promise = promise, .planned = &plan->cases[i]};
    unit->count = runner->jobs_count - unit->first;
}

/* splitmix64 (Steele, Lea, Flood 2014): all that a reproducible order needs. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static void shuffle(size_t *list, size_t count, uint64_t *state)
{
    for (size_t i = 1; i < count; i++) {
        size_t j = (size_t)(next_random(state) % (i + 1)), item = list[i];
        list[i] = list[j];
        list[j] = item;
    }
}

static bool unit_is_slow(const struct runner *runner, size_t unit)
{
    return runner->promises[unit % runner->promises_count]->slow;
}

/* Drawn by the seed: the units, and the cases in each. A unit is finished before many others are
 * begun, so that little is kept of it; slow ones come first, so that none runs on while all other
 * workers have nothing left to do. */
static bool order_make(struct runner *runner)
{
    uint64_t state = runner->seed;
    size_t units = runner->candidates.count * runner->promises_count, next = 0;
    size_t *list = calloc(units, sizeof *list);
    if (list == NULL)
        return false;
    for (size_t i = 0; i < units; i++)
        list[i] = i;
    shuffle(list, units, &state);
    for (int slow = 1; slow >= 0; slow--)
        for (size_t i = 0; i < units; i++) {
            const struct unit *unit = &runner->units[list[i]];
            if (unit_is_slow(runner, list[i]) != slow)
                continue;
            for (size_t j = 0; j < unit->count; j++)
                runner->order[next + j] = unit->first + j;
            shuffle(runner->order + next, unit->count, &state);
            next += unit->count;
        }
    free(list);
    return true;
}

static bool jobs_make(struct runner *runner)
{
    size_t cases = 0;
    for (size_t i = 0; i < runner->promises_count; i++)
        cases += runner->plans[i].count;
    size_t subjects = runner->candidates.count;
    runner->units = calloc(subjects * runner->promises_count + 1, sizeof *runner->units);
    runner->jobs = calloc(subjects * cases + 1, sizeof *runner->jobs);
    runner->order = calloc(subjects * cases + 1, sizeof *runner->order);
    if (runner->units == NULL || runner->jobs == NULL || runner->order == NULL)
        return false;
    for (size_t s = 0; s < subjects; s++)
        for (size_t p = 0; p < runner->promises_count; p++) {
            unit_of(runner, s, p)->evidence.details = json_object();
            if (unit_runs(runner, s, p))
                jobs_add_unit(runner, s, p);
        }
    return order_make(runner);
}

/* ---- running ---- */

/* What was carried out and looked at, as opposed to planned. */
static void tally(struct runner *runner, const struct case_run *run)
{
    (void)pthread_mutex_lock(&runner->lock);
    for (size_t i = 0; i < run->count; i++) {
        const struct seen *seen = &run->seen[i];
        runner->looks[seen->kind]++;
        if (seen->kind == SEEN_OPERATION && seen->event.outcome != MODEL_SKIPPED)
            runner->operations[seen->operation.code % MODEL_CODES]++;
    }
    (void)pthread_mutex_unlock(&runner->lock);
}

/* Supervisor and case wait for each other all the time: on one processor they change places in a
 * fraction of the time that it takes to wake another. Each worker keeps to one of its own. */
static void settle_down(struct runner *runner)
{
    (void)pthread_mutex_lock(&runner->lock);
    unsigned wanted = runner->workers++;
    (void)pthread_mutex_unlock(&runner->lock);
    const cpu_set_t *all = &runner->host->cpus;
    unsigned count = (unsigned)CPU_COUNT(all);
    for (unsigned cpu = 0, seen = 0; count > 0 && cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, all) && seen++ == wanted % count) {
            cpu_set_t one;
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            (void)pthread_setaffinity_np(pthread_self(), sizeof one, &one);
        }
}

/* Adds up what the jobs of a unit found, in the order of the plan. */
static void unit_gather(struct runner *runner, struct unit *unit)
{
    for (size_t i = unit->first; i < unit->first + unit->count && !unit->gathered; i++) {
        struct job *job = &runner->jobs[i];
        unit->evidence.elapsed_ms += job->elapsed_ms;
        if (job->state != JOB_DONE)
            continue;
        if (job->failed && unit->harness[0] == '\0')
            (void)snprintf(unit->harness, sizeof unit->harness, "%s", job->evidence.summary);
        if (!job->failed)
            evidence_add(&unit->evidence, job->planned->label, job->finding, &job->evidence);
        json_decref(job->evidence.details);
    }
    unit->gathered = true;
}

/* Runs one job; false: it hung. */
static bool job_run(struct runner *runner, struct job *job, unsigned timeout_ms, bool last_chance)
{
    struct case_order order = {.variant = variant_of(runner, job->subject),
                               .program = job->planned->program,
                               .label = job->planned->label,
                               .observers = runner->promises[job->promise]->observers |
                                            runner->promises[job->promise]->also,
                               .timeout_ms = timeout_ms};
    struct case_run run;
    uint64_t started_ms = now_ms();
    supervise(runner->host, &order, &run);
    job->elapsed_ms += now_ms() - started_ms;
    tally(runner, &run);
    bool hung = run.ending == ENDED_HUNG;
    if (!hung || last_chance) {
        job->evidence.details = json_object();
        job->failed = judge_harness(&run, job->evidence.summary, sizeof job->evidence.summary);
        if (!job->failed)
            job->finding = judge_case(runner->promises[job->promise], &run, &job->evidence);
        job->state = JOB_DONE;
    }
    case_run_free(&run);
    return !hung;
}

/* Progress, with the lock held. */
static void tell(struct runner *runner, const struct job *job)
{
    uint64_t now = now_ms();
    if (runner->settings->progress == NULL || now < runner->told_ms + 100)
        return;
    runner->told_ms = now;
    runner->settings->progress(runner->settings->progress_arg, runner->jobs_done,
                               runner->jobs_count, variant_of(runner, job->subject)->is.name,
                               runner->promises[job->promise]->id);
}

/* Cases that look at the swap device run one at a time, when all others are done. */
static bool runs_alone(const struct runner *runner, const struct job *job)
{
    return (runner->promises[job->promise]->observers & OBSERVE_SWAP) != 0;
}

/* The next job whose unit has not hung; NULL: none left. */
static struct job *job_take(struct runner *runner)
{
    struct job *job = NULL;
    (void)pthread_mutex_lock(&runner->lock);
    while (job == NULL && runner->jobs_next < runner->jobs_count) {
        job = &runner->jobs[runner->order[runner->jobs_next++]];
        if (unit_of(runner, job->subject, job->promise)->hung || runs_alone(runner, job))
            job = NULL;
    }
    if (job != NULL)
        tell(runner, job);
    (void)pthread_mutex_unlock(&runner->lock);
    return job;
}

static void *work(void *arg)
{
    struct runner *runner = arg;
    settle_down(runner);
    for (struct job *job; (job = job_take(runner)) != NULL;) {
        bool slow = runner->promises[job->promise]->slow;
        bool in_time = job_run(runner, job, runner->settings->timeout_ms * (slow ? 4 : 1), false);
        struct unit *unit = unit_of(runner, job->subject, job->promise);
        (void)pthread_mutex_lock(&runner->lock);
        runner->jobs_done++;
        if (!in_time) {
            job->state = JOB_HUNG;
            unit->hung = true;
        }
        if (++unit->done == unit->count && !unit->hung)
            unit_gather(runner, unit);
        (void)pthread_mutex_unlock(&runner->lock);
    }
    return NULL;
}

/* What hung runs again, alone, with three times the time; so do the cases that waited behind it. One
 * that hangs again settles its unit, and the rest of it is dropped. */
static void settle_hung(struct runner *runner)
{
    static const enum job_state passes[] = {JOB_HUNG, JOB_WAITING};
    for (size_t pass = 0; pass < sizeof passes / sizeof *passes; pass++)
        for (size_t i = 0; i < runner->jobs_count; i++) {
            struct job *job = &runner->jobs[i];
            struct unit *unit = unit_of(runner, job->subject, job->promise);
            if (job->state != passes[pass] || !unit->hung)
                continue;
            unsigned times = runner->promises[job->promise]->slow ? 12 : 3;
            bool in_time = job_run(runner, job, runner->settings->timeout_ms * times, true);
            for (size_t j = 0; !in_time && j < runner->jobs_count; j++)
                if (runner->jobs[j].subject == job->subject &&
                    runner->jobs[j].promise == job->promise && runner->jobs[j].state != JOB_DONE)
                    runner->jobs[j].state = JOB_DROPPED;
        }
}

static void work_alone(struct runner *runner)
{
    settle_down(
        runner); /* MADV_PAGEOUT finds only pages that its own processor has put on the lists */
    for (size_t i = 0; i < runner->jobs_count; i++) {
        struct job *job = &runner->jobs[i];
        if (!runs_alone(runner, job) || runner->host->swap == NULL)
            continue;
        tell(runner, job);
        if (swap_renew(runner->host->swap))
            (void)job_run(runner, job, runner->settings->timeout_ms * 3, true);
        runner->jobs_done++;
    }
}

static bool work_side_by_side(struct runner *runner)
{
    pthread_t threads[64];
    unsigned count = runner->settings->jobs, started = 0;
    while (started < count && started < sizeof threads / sizeof *threads &&
           pthread_create(&threads[started], NULL, work, runner) == 0)
        started++;
    for (unsigned i = 0; i < started; i++)
        (void)pthread_join(threads[i], NULL);
    if (started > 0) {
        settle_hung(runner);
        work_alone(runner);
    }
    return started > 0;
}

/* ---- what it came to ---- */

static struct evidence evidence_copy(const struct evidence *from)
{
    struct evidence copy = *from;
    copy.details = json_deep_copy(from->details);
    return copy;
}

/* The command as one would type it here. */
static void repeat_command(const struct runner *runner, const struct verdict_record *record,
                           const struct candidate *candidate, char *out, size_t out_bytes)
{
    char here[PATH_MAX] = "";
    const char *program = runner->host->directory;
    const char *label =
        json_string_value(json_object_get(record->evidence.details, "deciding_case"));
    size_t length = getcwd(here, sizeof here) != NULL ? strlen(here) : 0;
    if (label == NULL)
        return;
    if (length > 0 && strncmp(program, here, length) == 0 && program[length] == '/')
        program += length + 1;
    const char *in_subjects = strstr(candidate->variant.path, "/subjects/");
    bool by_path = strstr(candidate->variant.path, runner->host->directory) == NULL ||
                   in_subjects == NULL || strchr(in_subjects + strlen("/subjects/"), '/') != NULL;
    int needed = snprintf(out, out_bytes, "%s/strongroom verify %s --only %s --case '%s'", program,
                          by_path ? candidate->variant.path : candidate->variant.is.name,
                          record->promise->id, label);
    if (needed >= (int)out_bytes) /* half a command is worse than none */
        out[0] = '\0';
}

static void record_error(struct verdict_record *record, const char *where, const char *why)
{
    record->verdict = VERDICT_ERROR;
    say(&record->evidence, "%s%.280s", where, why);
}

/* What holds where memory was had, and was refused more often than not, is told so: refusals show
 * nothing. */
static void say_how_few(struct evidence *evidence)
{
    char rest[sizeof evidence->summary];
    if (evidence->refused <= evidence->kept)
        return;
    (void)snprintf(rest, sizeof rest, "%s", evidence->summary);
    say(evidence, "in %u of %u cases, nothing to look at in the others: %.200s", evidence->kept,
        evidence->cases, rest);
}

static void decide(struct runner *runner, size_t subject, size_t promise,
                   struct verdict_record *record)
{
    const struct unit *unit = unit_of(runner, subject, promise);
    const struct unit *positive = unit_of(runner, POSITIVE, promise);
    const struct unit *negative = unit_of(runner, negative_of(runner->promises[promise]), promise);
    const struct candidate *candidate = &runner->candidates.list[subject];
    const struct promise *p = runner->promises[promise];
    const char *lacks = host_lacks(runner->host, p->observers);
    enum vouching vouching;
    char why[320];

    *record = (struct verdict_record){.promise = p,
                                      .claimed = variant_claims(&candidate->variant, p->id),
                                      .unasked = (p->observers & OBSERVE_SWAP) != 0 &&
                                                 !runner->settings->allow_swap,
                                      .evidence = evidence_copy(&unit->evidence),
                                      .positive = evidence_copy(&positive->evidence),
                                      .negative = evidence_copy(&negative->evidence)};
    if (candidate->dead) {
        record->evidence.broken = record->evidence.cases = 1;
        (void)snprintf(record->evidence.summary, sizeof record->evidence.summary, "%s",
                       candidate->death);
        record->verdict = judge_verdict(p, record->claimed, &record->evidence);
    } else if (!unit_offered(p, &candidate->variant)) {
        record->verdict = VERDICT_NOT_OFFERED;
        say(&record->evidence, (p->flags & ~candidate->variant.is.flags) != 0
                                   ? "it does not say that it is thread-safe"
                                   : "an entry that it needs is not offered");
    } else if (lacks != NULL) {
        record->verdict = VERDICT_NOT_OBSERVABLE;
        say(&record->evidence, "%s", lacks);
    } else if (positive->harness[0] != '\0' || negative->harness[0] != '\0') {
        record_error(record, "on a control, ",
                     positive->harness[0] != '\0' ? positive->harness : negative->harness);
    } else if (unit->harness[0] != '\0') {
        record_error(record, "", unit->harness);
    } else if ((vouching = judge_controls(p, &positive->evidence, &negative->evidence, why,
                                          sizeof why)) != CONTROLS_VOUCH) {
        record_error(record, "", why);
        if (vouching == CONTROLS_REFUSED)
            record->verdict = VERDICT_NOT_OBSERVABLE;
    } else {
        record->verdict = judge_verdict(p, record->claimed, &record->evidence);
        if (record->verdict == VERDICT_HOLDS)
            say_how_few(&record->evidence);
        repeat_command(runner, record, candidate, record->repeat, sizeof record->repeat);
    }
}

static bool sizes_list(const struct runner *runner, struct run_result *result)
{
    const struct model_size *sizes = plan_sizes(&result->sizes_count);
    result->sizes = calloc(result->sizes_count, sizeof *result->sizes);
    result->sizes_bytes = calloc(result->sizes_count, sizeof *result->sizes_bytes);
    if (result->sizes == NULL || result->sizes_bytes == NULL)
        return false;
    for (size_t i = 0; i < result->sizes_count; i++) {
        (void)model_size_print(sizes[i], result->sizes[i], sizeof result->sizes[i]);
        result->sizes_bytes[i] = model_size_bytes(sizes[i], runner->host->page_bytes);
    }
    return true;
}

static void host_describe(const struct host *host, struct host_facts *facts)
{
    struct utsname name;
    struct rlimit memlock = {RLIM_INFINITY, RLIM_INFINITY};
    (void)uname(&name);
    (void)getrlimit(RLIMIT_MEMLOCK, &memlock);
    (void)snprintf(facts->kernel, sizeof facts->kernel, "%.20s %.100s", name.sysname, name.release);
    (void)snprintf(facts->machine, sizeof facts->machine, "%.31s", name.machine);
    if (host->root)
        (void)snprintf(facts->user, sizeof facts->user, "root");
    else
        (void)snprintf(facts->user, sizeof facts->user, "uid %u", (unsigned)geteuid());
    facts->page_bytes = (long)host->page_bytes;
    facts->cores = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    facts->memlock_soft_bytes = memlock.rlim_cur;
    facts->memlock_hard_bytes = memlock.rlim_max;
    facts->observers = json_object();
    for (unsigned bit = 0; bit < OBSERVERS; bit++)
        (void)json_object_set_new(
            facts->observers, observer_name(1u << bit),
            json_string(host->why_not[bit] != NULL ? host->why_not[bit] : "available"));
}

static const char *const look_names[SEEN_KINDS] = {
    [SEEN_OPERATION] = "operation", [SEEN_RELEASE] = "release", [SEEN_BYTES] = "bytes",
    [SEEN_LOCKS] = "locks",         [SEEN_CHECK] = "check",     [SEEN_CHILD] = "child",
    [SEEN_RESIDUE] = "residue",     [SEEN_OUTSIDE] = "outside", [SEEN_SWAP] = "swap",
    [SEEN_CORE] = "core",           [SEEN_FAULT] = "fault",     [SEEN_SIGNAL] = "signal",
    [SEEN_VIOLATION] = "violation"};

static void tally_describe(const struct runner *runner, struct run_result *result)
{
    result->operations = json_object();
    result->looks = json_object();
    for (unsigned code = 0; code < MODEL_CODES; code++) {
        struct model_operation operation = {.code = (uint8_t)code};
        char name[96];
        (void)model_operation_print(&operation, name, sizeof name);
        name[strcspn(name, " ")] = '\0';
        (void)json_object_set_new(result->operations, name,
                                  json_integer((json_int_t)runner->operations[code]));
    }
    for (unsigned kind = 0; kind < SEEN_KINDS; kind++)
        (void)json_object_set_new(result->looks, look_names[kind],
                                  json_integer((json_int_t)runner->looks[kind]));
}

static bool result_make(struct runner *runner, struct run_result *result)
{
    result->seed = runner->seed;
    result->cases = (unsigned)runner->jobs_count;
    result->count = runner->candidates.count - CONTROLS;
    result->subjects = calloc(result->count + 1, sizeof *result->subjects);
    result->skipped_count = skipped_read(runner->host, &result->skipped);
    host_describe(runner->host, &result->host);
    if (result->subjects == NULL || !sizes_list(runner, result))
        return false;
    for (size_t i = 0; i < runner->candidates.count * runner->promises_count; i++)
        unit_gather(runner, &runner->units[i]);
    tally_describe(runner, result);
    for (size_t i = 0; i < result->count; i++) {
        struct subject_result *subject = &result->subjects[i];
        candidate_describe(&runner->candidates.list[i + CONTROLS], subject);
        subject->count = runner->promises_count;
        subject->verdicts = calloc(subject->count + 1, sizeof *subject->verdicts);
        for (size_t p = 0; subject->verdicts != NULL && p < subject->count; p++) {
            decide(runner, i + CONTROLS, p, &subject->verdicts[p]);
            subject->totals[subject->verdicts[p].verdict]++;
        }
    }
    return true;
}

/* ---- all of it ---- */

static bool run_all(struct runner *runner, struct run_result *result, char *error,
                    size_t error_bytes)
{
    if (!promises_choose(runner, error, error_bytes) || !plans_make(runner, error, error_bytes) ||
        !controls_add(runner, error, error_bytes) || !subjects_add(runner, error, error_bytes) ||
        !host_try(runner, error, error_bytes))
        return false;
    bool good = jobs_make(runner) && work_side_by_side(runner);
    good = good && result_make(runner, result);
    if (!good)
        (void)snprintf(error, error_bytes, "out of memory or threads");
    return good;
}

static void runner_free(struct runner *runner)
{
    for (size_t i = 0; i < runner->promises_count; i++)
        plan_free(&runner->plans[i]);
    for (size_t i = 0; runner->units != NULL && i < runner->candidates.count; i++)
        for (size_t p = 0; p < runner->promises_count; p++)
            json_decref(unit_of(runner, i, p)->evidence.details);
    free(runner->units);
    free(runner->jobs);
    free(runner->order);
    candidates_free(&runner->candidates);
}

bool run(const struct run_settings *asked, struct run_result *result, char *error,
         size_t error_bytes)
{
    static struct host host; /* of some hundred KiB: not for the stack */
    struct run_settings settings = *asked;
    struct runner runner = {.settings = &settings, .host = &host, .seed = asked->seed};
    uint64_t started_ms = now_ms();
    *result = (struct run_result){0};
    json_object_seed(0); /* before there are threads: see jansson's manual, thread safety */
    if (settings.timeout_ms == 0)
        settings.timeout_ms = DEFAULT_TIMEOUT_MS;
    if (settings.jobs == 0)
        settings.jobs = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    if (!settings.seeded && getrandom(&runner.seed, sizeof runner.seed, 0) < 0) {
        (void)snprintf(error, error_bytes, "no random bytes: %s", strerror(errno));
        return false;
    }
    if (!settings.seeded)
        runner.seed &= UINT32_MAX; /* short enough to be typed */
    if (!host_open(&host, error, error_bytes))
        return false;
    if (settings.allow_swap)
        host_allow_swap(&host);
    (void)pthread_mutex_init(&runner.lock, NULL);
    bool good = run_all(&runner, result, error, error_bytes);
    runner_free(&runner);
    host_close(&host);
    (void)pthread_mutex_destroy(&runner.lock);
    result->elapsed_ms = now_ms() - started_ms;
    return good;
}
