/* SPDX-License-Identifier: MIT */
/* target.c: see target.h. */
#include "fuzz/target.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz/admit.h"
#include "fuzz/counters.h"
#include "fuzz/discard.h"
#include "fuzz/privileges.h"
#include "fuzz/self.h"
#include "model/machine.h"
#include "model/raw.h"
#include "model/subject.h"
#include "model/tools.h"

#define LINE_BYTES 1024u
#define STARVED_MAX 100u /* programs in a row */

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
    struct {
        bool disturbed; /* refusals are in order from here on */
        bool wanted, given, ever_given;
        unsigned starved; /* programs in a row that got nothing */
    } use;
    uint64_t locked_by_others; /* bytes */
    unsigned load_threads;     /* that the subject began while it was loaded, */
    bool load_locks;           /* and whether it locked memory then */
    char report[PATH_MAX];     /* the path of a file; empty: none */
    const uint8_t *input;      /* of the engine, which runs now */
    size_t input_bytes;
    long runs_in; /* the process in which an engine's program runs; else 0 */
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

/* ------------------------------------------------------------------------------------- reporting */

/* The text is ours: printable ASCII, without quotes or backslashes but for a subject's message. */
void target_print(const struct violation *violation, const char *subject)
{
    char text[sizeof violation->text];
    size_t length = 0;
    for (const char *c = violation->text; *c != '\0'; c++)
        text[length++] = *c < ' ' || *c > '~' || *c == '"' || *c == '\\' ? '?' : *c;
    text[length] = '\0';
    (void)fprintf(
        stderr, "{\"promise\": \"%s\", \"operation\": %u, \"subject\": \"%s\", \"text\": \"%s\"}\n",
        violation->promise_id, violation->op_index, subject, text);
}

/* For who started the engine: AFL++ shows nobody what its target says. */
static void report_to_file(const struct violation *violation)
{
    char line[LINE_BYTES];
    int length =
        snprintf(line, sizeof line, "%08x %s %u %s\n", admit_hash(target.input, target.input_bytes),
                 violation->promise_id, violation->op_index, violation->text);
    long file = target.report[0] == '\0'
                    ? -1
                    : raw_call4(SYS_openat, AT_FDCWD, target.report,
                                O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || length < 0)
        return;
    raw_call3(SYS_write, file, line, length);
    raw_call1(SYS_close, file);
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

static _Noreturn void die_of(const struct violation *violation)
{
    target_print(violation, target.variant->name);
    report_to_file(violation);
    die_loudly();
}

/* A subject that ends the process would end the search, and to an engine nothing would be wrong with that. */
static void end_at_exit(void)
{
    if (target.runs_in == 0 || target.runs_in != raw_call0(SYS_getpid))
        return;
    target.violation = (struct violation){.promise_id = "crash",
                                          .op_index = index_in_input(target.ended),
                                          .text = "it ended the process"};
    die_of(&target.violation);
}

/* The linker's: the code of this program, an engine's included. */
extern const char __executable_start[], etext[];

static bool is_ours(const char *caller)
{
    return caller >= __executable_start && caller < etext;
}

/* Instead of libc's: an engine has a handler at exit that comes before ours, and _exit asks nobody. Engines call them, too,
 * when they give up on a program. */
void exit(int status)
{
    void (*next)(int) = (void (*)(int))(uintptr_t)dlsym(RTLD_NEXT, "exit");
    if (!is_ours(__builtin_return_address(0)))
        end_at_exit();
    next(status);
    abort();
}

void _exit(int status)
{
    if (!is_ours(__builtin_return_address(0)))
        end_at_exit();
    for (;;)
        raw_call1(SYS_exit_group, status);
}

void _Exit(int status)
{
    if (!is_ours(__builtin_return_address(0)))
        end_at_exit();
    _exit(status);
}

/* ---------------------------------------------------------------------------------------- start */

static void count_end(void *arg, const struct model_operation *operation,
                      const struct model_event *event);
static void (*oracle_end)(void *arg, const struct model_operation *operation,
                          const struct model_event *event);

/* proc_pid_task(5): a folder's links are its entries and two more. */
static unsigned threads(void)
{
    struct stat about;
    return stat("/proc/self/task", &about) == 0 && about.st_nlink > 2 ? (unsigned)about.st_nlink - 2
                                                                      : 0;
}

static void load(const char *path, const char *variant)
{
    char error[256];
    if (path == NULL)
        refuse("STRONGROOM_SUBJECT is not set: the path of a subject's shared object");
    unsigned threads_before = threads();
    target.locked_by_others = memory_loading();
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
    target.load_threads = threads() - threads_before;
    target.load_locks = memory_locked_bytes() > target.locked_by_others;
}

bool target_is_bound_to_process(void)
{
    return target.load_locks || target.load_threads != 0;
}

void target_start(void)
{
    char error[160];
    const char *oracle = getenv("STRONGROOM_ORACLE"), *fork = getenv("STRONGROOM_FORK"),
               *ignore = getenv("STRONGROOM_IGNORE"), *report = getenv("STRONGROOM_REPORT");
    if (!privileges_drop(ADMIT_LIMIT_BYTES, error, sizeof error))
        refuse("%s", error);
    load(getenv("STRONGROOM_SUBJECT"), getenv("STRONGROOM_VARIANT"));
    target.claims = claims_of(target.variant);
    target.claims.has_threads = target.load_threads != 0;
    target.always_fork = fork != NULL && strcmp(fork, "always") == 0;
    target.oracle = oracle_start(target.variant, &target.claims, target.locked_by_others,
                                 oracle != NULL && strcmp(oracle, "off") == 0);
    if (target.oracle == NULL)
        refuse("no memory for the oracle");
    if (report != NULL && strlen(report) >= sizeof target.report)
        refuse("STRONGROOM_REPORT is too long");
    (void)snprintf(target.report, sizeof target.report, "%s", report == NULL ? "" : report);
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

/* Does it still give memory, to a program that asks for little? */
static void note_use(const struct model_operation *op, const struct model_event *event)
{
    bool is_alloc = op->code == MODEL_ALLOC || op->code == MODEL_ALLOC_ALIGNED;
    bool is_open = op->code == MODEL_OPEN;
    bool is_small = is_alloc && model_size_bytes(op->size, target.host.page_bytes) <= 256;
    if (op->code == MODEL_LIMIT || op->code == MODEL_FAIL || (is_open && op->size.value != 0))
        target.use.disturbed = true;
    if (event->outcome == MODEL_OK && (is_alloc || op->code == MODEL_CROWD))
        target.use.given = true;
    if (event->outcome == MODEL_REFUSED && (is_open || is_small) && !target.use.disturbed)
        target.use.wanted = true;
}

/* What was seen broken is told all the same. */
static void settle_use(bool is_broken)
{
    if (target.use.given) {
        target.use.starved = 0;
        target.use.ever_given = true;
    } else if (target.use.wanted && ++target.use.starved >= STARVED_MAX && !is_broken) {
        refuse("the last %u programs that asked for memory got none, so nothing can be tested: %s",
               STARVED_MAX, target.use.ever_given ? "those before used it up" : "it gives none");
    }
    target.use.disturbed = target.use.wanted = target.use.given = false;
}

static void count_end(void *arg, const struct model_operation *operation,
                      const struct model_event *event)
{
    note_use(operation, event);
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
    if (!privileges_limit(ADMIT_LIMIT_BYTES))
        refuse("the subject lowered the hard limit of locked memory, which nobody here can raise");
}

/* ThreadSanitizer begins one of its own with the first other. */
#if defined(__SANITIZE_THREAD__)
#define THREADS_WITH_SECOND 2u
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREADS_WITH_SECOND 2u
#endif
#endif
#ifndef THREADS_WITH_SECOND
#define THREADS_WITH_SECOND 1u
#endif

/* Does each program begin in the state in which the subject was loaded? */
static bool is_discarded(void)
{
    return (target.variant->flags & SECRET_ALLOC_USES_FATAL) != 0 && !target.claims.has_threads;
}

/* What a thread of its own uses cannot be taken away: such a subject is left as its close leaves it, and not misused. */
static void note_threads(unsigned before, bool had_second)
{
    unsigned expected = before + (!had_second && turns_are_made() ? THREADS_WITH_SECOND : 0);
    if (threads() <= expected)
        return;
    (void)usleep(1000); /* one that was joined may still be on its way out */
    target.claims.has_threads = threads() > expected;
}

static void settle(void)
{
    target.violation = *oracle_violation(target.oracle);
    bool is_broken = target.violation.promise_id[0] != '\0';
    if (is_broken)
        target.violation.op_index = index_in_input(target.violation.op_index);
    settle_use(is_broken);
    if (!is_broken && !oracle_could_see(target.oracle))
        refuse("/proc/self/mem and status cannot be opened, so nothing can be seen");
    if (!memory_files_are_there())
        refuse("the subject closed files that were opened to look at it, and uses their numbers");
    /* Also after a close that went well: no program may depend on those before it. */
    if (is_discarded() && !discard_subject())
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
    limit_restore();
    bool counts_threads = is_discarded(), had_second = turns_are_made();
    unsigned threads_before = counts_threads ? threads() : 0;
    features_fresh();
    oracle_fresh(target.oracle);
    if (!model_interpret(program, target.variant, &target.host, error, sizeof error))
        refuse("%s", error);
    oracle_finish(target.oracle);
    if (counts_threads)
        note_threads(threads_before, had_second);
    settle();
    return target.violation.promise_id[0] != '\0' ? &target.violation : NULL;
}

const char *target_subject(void)
{
    return target.variant->name;
}

const struct target_counts *target_counts(void)
{
    return &target.counts;
}

void target_run_or_abort(const uint8_t *bytes, size_t count_bytes)
{
    if (!target.engine_known)
        (void)sigaction(SIGABRT, NULL, &target.abort_engine);
    target.engine_known = true;
    target.input = bytes;
    target.input_bytes = count_bytes;
    target.runs_in = raw_call0(SYS_getpid);
    const struct violation *violation = target_run(bytes, count_bytes);
    target.runs_in = 0;
    if (violation != NULL)
        die_of(violation);
}
