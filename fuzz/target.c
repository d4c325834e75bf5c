/* SPDX-License-Identifier: MIT */
/* target.c: see target.h. */
#include "fuzz/target.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/admit.h"
#include "fuzz/counters.h"
#include "fuzz/discard.h"
#include "fuzz/privileges.h"
#include "fuzz/self.h"
#include "model/raw.h"
#include "model/subject.h"
#include "model/tools.h"

static struct {
    struct model_subject subject;
    const struct secret_alloc *variant;
    struct claims claims;
    struct oracle *oracle;
    struct model_host host;
    bool always_fork;
    struct target_counts counts;
    struct model_program program;
    uint32_t original_index[ADMIT_OPERATIONS_MAX];
    size_t admitted, ended;     /* operations of the input, those that came to their end */
    struct violation violation; /* as reported: the index is that of the input */
    long runs_in;               /* the process in which an engine's program runs; else 0 */
    bool engine_known;
    struct sigaction abort_loaded,
        abort_engine; /* what SIGABRT does: at the end of the start, and when an engine begins */
} target;

MODEL_PRINTF(1, 2)
static _Noreturn void refuse(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    (void)fputs("fuzz: ", stderr);
    (void)vfprintf(stderr, format, list);
    (void)fputs("\n", stderr);
    va_end(list);
    target.runs_in = 0;
    _exit(2);
}

/* What was left out counts; all of the teardown is one more than the last. */
static uint32_t index_in_input(size_t index)
{
    if (index < target.admitted)
        return target.original_index[index];
    return target.admitted > 0 ? target.original_index[target.admitted - 1] + 1 : (uint32_t)index;
}

/* ------------------------------------------------------------------------------------ the end of all */

/* As an engine expects it, whatever the subject made of that signal. */
static _Noreturn void die_loudly(void)
{
    bool has_own = target.engine_known &&
                   memcmp(&target.abort_engine.sa_sigaction, &target.abort_loaded.sa_sigaction,
                          sizeof target.abort_loaded.sa_sigaction) != 0;
    target.runs_in = 0;
    if (has_own)
        (void)sigaction(SIGABRT, &target.abort_engine, NULL);
    else
        (void)signal(SIGABRT, SIG_DFL);
    abort();
}

/* A subject that ends the process would end the search, and to an engine nothing would be wrong with that. */
static void end_at_exit(void)
{
    if (target.runs_in == 0 || target.runs_in != raw_call0(SYS_getpid))
        return;
    target.violation = (struct violation){.promise_id = "crash",
                                          .op_index = index_in_input(target.ended),
                                          .text = "it ended the process"};
    target_print(&target.violation);
    die_loudly();
}

/* Instead of libc's, which end the process without what is registered for that. */
void _exit(int status)
{
    end_at_exit();
    for (;;)
        raw_call1(SYS_exit_group, status);
}

void _Exit(int status)
{
    _exit(status);
}

/* ---------------------------------------------------------------------------------------- start */

static void count_end(void *arg, const struct model_operation *operation,
                      const struct model_event *event);
static void (*oracle_end)(void *arg, const struct model_operation *operation,
                          const struct model_event *event);

static void load(const char *path, const char *variant)
{
    char error[256];
    if (path == NULL)
        refuse("STRONGROOM_SUBJECT is not set: the path of a subject's shared object");
    discard_loading();
    if (!model_subject_load(&target.subject, path, error, sizeof error))
        refuse("%s: %s", path, error);
    target.variant = model_subject_find(&target.subject, variant);
    if (target.variant == NULL)
        refuse("%s: %s", path,
               variant == NULL ? "has several variants: name one in STRONGROOM_VARIANT"
                               : "has no variant of the name in STRONGROOM_VARIANT");
    if (!discard_loaded())
        refuse("%s: its data cannot be saved", path);
}

void target_start(void)
{
    char error[160];
    const char *oracle = getenv("STRONGROOM_ORACLE"), *fork = getenv("STRONGROOM_FORK"),
               *ignore = getenv("STRONGROOM_IGNORE");
    if (!privileges_drop(ADMIT_LIMIT_BYTES, error, sizeof error))
        refuse("%s", error);
    load(getenv("STRONGROOM_SUBJECT"), getenv("STRONGROOM_VARIANT"));
    target.claims = claims_of(target.variant);
    target.always_fork = fork != NULL && strcmp(fork, "always") == 0;
    target.oracle =
        oracle_start(target.variant, &target.claims, oracle != NULL && strcmp(oracle, "off") == 0);
    if (target.oracle == NULL)
        refuse("no memory for the oracle");
    if (ignore != NULL && !oracle_ignore(target.oracle, ignore))
        refuse("STRONGROOM_IGNORE is too long");
    target.host = oracle_host(target.oracle);
    oracle_end = target.host.end;
    target.host.end = count_end;
    target.counts.checks = oracle_counts(target.oracle);
    model_keep_handlers(true);
    (void)sigaction(SIGABRT, NULL, &target.abort_loaded);
    (void)atexit(end_at_exit);
}

/* ---------------------------------------------------------------------------------------- a run */

static void count_end(void *arg, const struct model_operation *operation,
                      const struct model_event *event)
{
    target.counts.operations[operation->code][event->outcome]++;
    target.ended++;
    oracle_end(arg, operation, event);
}

static void append(struct model_program *program, enum model_code code, unsigned slot)
{
    if (program->count < MODEL_OPERATIONS_MAX)
        program->operations[program->count++] =
            (struct model_operation){.code = (uint8_t)code, .slot = (uint8_t)slot};
}

/* Everything goes as it came: by the subject's own close, or piece by piece. */
static void append_teardown(struct model_program *program)
{
    append(program, MODEL_HEAL, 0);
    append(program, MODEL_CROWD_FREE, 0);
    if (target.variant->close != NULL) {
        append(program, MODEL_CLOSE, 0);
        return;
    }
    for (unsigned i = 0; i < MODEL_SLOTS; i++)
        append(program, MODEL_FREE, i);
}

/* Without the crowd's memory, programs that have none are faster. */
static bool has_crowd(const struct model_program *program)
{
    for (size_t i = 0; i < program->count; i++)
        if (program->operations[i].code == MODEL_CROWD)
            return true;
    return false;
}

static void limit_restore(void)
{
    privileges_limit(ADMIT_LIMIT_BYTES);
}

static void settle(void)
{
    target.violation = *oracle_violation(target.oracle);
    if (target.violation.promise_id[0] != '\0')
        target.violation.op_index = index_in_input(target.violation.op_index);
    if (!memory_files_are_there())
        refuse("the subject closed files that were opened to look at it, and uses their numbers");
    /* Also after a close that went well: no program may depend on those before it. */
    if ((target.variant->flags & SECRET_ALLOC_USES_FATAL) != 0 && !discard_subject())
        refuse("the subject made more mappings than can be followed");
}

const struct violation *target_run(const uint8_t *bytes, size_t count_bytes)
{
    char error[128];
    struct model_program *program = &target.program;
    model_program_decode(program, bytes, count_bytes);
    admit(program, target.variant, &target.claims,
          target.always_fork || admit_may_fork(bytes, count_bytes), target.original_index);
    size_t admitted = target.admitted = program->count;
    target.ended = 0;
    bool crowd = has_crowd(program);
    append_teardown(program);
    if (!crowd) /* there is no crowd to be freed */
        memmove(&program->operations[admitted + 1], &program->operations[admitted + 2],
                (--program->count - admitted - 1) * sizeof program->operations[0]);
    target.counts.programs++;
    features_fresh();
    oracle_fresh(target.oracle);
    if (!model_interpret(program, target.variant, &target.host, error, sizeof error))
        refuse("%s", error);
    oracle_finish(target.oracle);
    limit_restore();
    settle();
    return target.violation.promise_id[0] != '\0' ? &target.violation : NULL;
}

const struct target_counts *target_counts(void)
{
    return &target.counts;
}

/* The text is ours: printable ASCII, without quotes or backslashes but for a subject's message. */
void target_print(const struct violation *violation)
{
    char text[sizeof violation->text];
    size_t length = 0;
    for (const char *c = violation->text; *c != '\0'; c++)
        text[length++] = *c < ' ' || *c > '~' || *c == '"' || *c == '\\' ? '?' : *c;
    text[length] = '\0';
    (void)fprintf(
        stderr, "{\"promise\": \"%s\", \"operation\": %u, \"subject\": \"%s\", \"text\": \"%s\"}\n",
        violation->promise_id, violation->op_index, target.variant->name, text);
}

void target_run_or_abort(const uint8_t *bytes, size_t count_bytes)
{
    if (!target.engine_known)
        (void)sigaction(SIGABRT, NULL, &target.abort_engine);
    target.engine_known = true;
    target.runs_in = raw_call0(SYS_getpid);
    const struct violation *violation = target_run(bytes, count_bytes);
    target.runs_in = 0;
    if (violation == NULL)
        return;
    target_print(violation);
    die_loudly();
}
