/* SPDX-License-Identifier: MIT */
/*
 * run.c: the target without an engine: runs programs from files, and turns them into other forms. See `usage`.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz/admit.h"
#include "fuzz/target.h"
#include "model/emit.h"
#include "model/program.h"
#include "model/raw.h"

#define FILE_BYTES_MAX ((size_t)1 << 20)

static const char usage[] =
    "usage: strongroom-fuzz [--counts] FILE|FOLDER...   run programs, in one process\n"
    "       strongroom-fuzz --apart FILE|FOLDER...      run each in a process of its own, for 20 s at most\n"
    "       strongroom-fuzz --print FILE                a program as text\n"
    "       strongroom-fuzz --c FILE                    as a C program\n"
    "       strongroom-fuzz --assemble FOLDER FILE...   as bytes, to FOLDER/NAME\n"
    "       strongroom-fuzz --variants                  the variants of the subject\n"
    "       strongroom-fuzz --dictionary                pieces of programs, as engines read them\n"
    "\n"
    "A program is bytes, or text that begins with `strongroom program`. The subject is the shared object at\n"
    "$STRONGROOM_SUBJECT, its variant $STRONGROOM_VARIANT; fuzz/README.md has the rest of the environment.\n"
    "Each program that breaks a promise is one line on standard error, its end JSON; apart also what crashes (\"crash\")\n"
    "or does not end (\"hang\"). The last to come is `programs N` on standard output: without it not all were run.\n"
    "--counts adds how often each operation came to each outcome, and how often each check of the oracle was made.\n"
    "Exit status: 0 nothing is broken, 1 something is, 2 it could not be looked at.\n";

#define HANG_MS 20000
#define HANG_AGAIN_MS 1000 /* for one that is known to hang: a program takes milliseconds */

static int status;
static bool apart, starts_in_child;
static uint64_t programs; /* that were run */

static bool complain(const char *path, const char *why)
{
    (void)fprintf(stderr, "strongroom-fuzz: %s: %s\n", path, why);
    status = 2;
    return false;
}

/* ---- files ---- */

struct file {
    size_t count;
    uint8_t bytes[FILE_BYTES_MAX + 1];
};

/* Reads a program in either form; text is assembled. */
static bool file_read(const char *path, struct file *file)
{
    static struct model_program program;
    char error[160];
    FILE *stream = fopen(path, "re");
    if (stream == NULL)
        return complain(path, strerror(errno));
    file->count = fread(file->bytes, 1, FILE_BYTES_MAX, stream);
    int failed = ferror(stream);
    (void)fclose(stream);
    if (failed != 0)
        return complain(path, "cannot be read");
    file->bytes[file->count] = '\0';
    const char *text = (const char *)file->bytes;
    if (strncmp(text, "strongroom program", strlen("strongroom program")) != 0)
        return true;
    if (!model_program_parse(&program, text, NULL, error, sizeof error))
        return complain(path, error);
    file->count = model_program_encode(&program, file->bytes, FILE_BYTES_MAX);
    admit_grant_fork(file->bytes, file->count);
    return true;
}

/* ---- running ---- */

/* Waits for a child; false: it does not end. */
static bool child_ended(pid_t child, int *how)
{
    static int patience_ms = HANG_MS;
    struct pollfd waiting = {.fd = (int)syscall(SYS_pidfd_open, child, 0), .events = POLLIN};
    bool ended = waiting.fd < 0 ||
                 poll(&waiting, 1, patience_ms) > 0; /* before Linux 5.3: for as long as it takes */
    if (!ended) {
        patience_ms = HANG_AGAIN_MS;
        (void)kill(child, SIGKILL);
    }
    (void)waitpid(child, how, 0);
    (void)kill(-child, SIGKILL); /* and what it left behind */
    if (waiting.fd >= 0)
        (void)close(waiting.fd);
    return ended;
}

/* What became of a child that did not come to its end. */
static struct violation violation_by_end(bool ended, int how)
{
    struct violation seen = {.promise_id = "crash"};
    if (!ended) {
        (void)snprintf(seen.promise_id, sizeof seen.promise_id, "hang");
        (void)snprintf(seen.text, sizeof seen.text, "it did not end in its time");
    } else if (WIFSIGNALED(how)) {
        (void)snprintf(seen.text, sizeof seen.text, "the process was killed by signal %d",
                       WTERMSIG(how));
    } else {
        (void)snprintf(seen.text, sizeof seen.text, "it ended the process with status %d",
                       WEXITSTATUS(how));
    }
    return seen;
}

/* What a child leaves to its parent: a subject may leave with any status, and close every file. */
struct left {
    bool ended;
    struct violation violation;
    char subject[128]; /* its name, which only a child may know */
};
static struct left *left;

static _Noreturn void run_child(const struct file *file)
{
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* who waits for it may be killed */
    if (starts_in_child)
        target_start();
    (void)snprintf(left->subject, sizeof left->subject, "%s", target_subject());
    const struct violation *seen = target_run(file->bytes, file->count);
    if (seen != NULL)
        left->violation = *seen;
    left->ended = true;
    for (;;)
        (void)raise(SIGKILL); /* nothing of the subject's runs any more */
}

/* In a child: what the subject does while it is loaded may not outlive a fork. False: it cannot be loaded. */
static bool ask_where_to_start(void)
{
    int how = 0;
    pid_t child = fork();
    if (child == 0) {
        target_start();
        _exit(target_is_bound_to_process() ? 1 : 0);
    }
    bool ended = child > 0 && child_ended(child, &how) && WIFEXITED(how);
    if (!ended)
        return complain("the subject", "does not come to its end while it is loaded");
    status = WEXITSTATUS(how) > 1 ? 2 : 0; /* the target itself has said why */
    starts_in_child = WEXITSTATUS(how) == 1;
    return status == 0;
}

/* Runs a program in a process of its own. NULL: nothing is broken, or it could not be run. */
static const struct violation *run_apart(const char *path, const struct file *file)
{
    int how = 0;
    if (left == NULL) /* raw: it is none of the subject's mappings, which the ledger counts */
        left = (void *)raw_call6(SYS_mmap, 0, sizeof *left, PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    *left = (struct left){.ended = false};
    pid_t child = fork();
    if (child == 0)
        run_child(file);
    bool ended = child > 0 && child_ended(child, &how);
    if (!left->ended && (child < 0 || (ended && WIFEXITED(how) && WEXITSTATUS(how) == 2))) {
        (void)complain(path, "could not be run"); /* the target itself has said why */
        return NULL;
    }
    if (!left->ended)
        left->violation = violation_by_end(ended, how);
    return left->violation.promise_id[0] != '\0' ? &left->violation : NULL;
}

static void run_file(const char *path)
{
    static struct file file;
    if (!file_read(path, &file))
        return;
    const struct violation *violation =
        apart ? run_apart(path, &file) : target_run(file.bytes, file.count);
    programs++;
    if (violation == NULL)
        return;
    (void)fprintf(stderr, "%s: ", path);
    target_print(violation, apart ? left->subject : target_subject());
    status = status == 2 ? 2 : 1;
}

static void run_path(const char *path)
{
    struct stat about;
    struct dirent **entries;
    if (stat(path, &about) != 0 || !S_ISDIR(about.st_mode)) {
        run_file(path);
        return;
    }
    int count = scandir(path, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char inner[4096];
        if (entries[i]->d_name[0] != '.') {
            (void)snprintf(inner, sizeof inner, "%s/%s", path, entries[i]->d_name);
            run_path(inner);
        }
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

static void print_counts(void)
{
    static const char *const outcomes[] = {"ok", "refused", "skipped", "trapped", "died"};
    const struct target_counts *counts = target_counts();
    for (unsigned code = 0; code < MODEL_CODES; code++) {
        struct model_operation op = {.code = (uint8_t)code};
        char text[96];
        (void)model_operation_print(&op, text, sizeof text);
        text[strcspn(text, " ")] = '\0';
        for (unsigned outcome = 0; outcome <= MODEL_DIED; outcome++)
            (void)printf("operation %s %s %" PRIu64 "\n", text, outcomes[outcome],
                         counts->operations[code][outcome]);
    }
    for (unsigned check = 0; check < ORACLE_CHECKS; check++)
        (void)printf("check %s %" PRIu64 "\n", oracle_check_names[check], counts->checks[check]);
}

static void run(char **paths, bool counts)
{
    if (apart && !ask_where_to_start())
        return;
    if (!starts_in_child)
        target_start();
    for (; *paths != NULL; paths++)
        run_path(*paths);
    if (counts)
        print_counts();
    (void)printf("programs %" PRIu64 "\n", programs);
}

/* ---- other forms ---- */

static bool program_read(const char *path, struct model_program *program)
{
    static struct file file;
    if (!file_read(path, &file))
        return false;
    model_program_decode(program, file.bytes, file.count);
    return true;
}

static void print(const char *path)
{
    static struct model_program program;
    static char text[FILE_BYTES_MAX];
    if (program_read(path, &program) &&
        model_program_print(&program, text, sizeof text) < sizeof text)
        (void)fputs(text, stdout);
}

static void print_c(const char *path)
{
    static struct model_program program;
    const char *subject = getenv("STRONGROOM_SUBJECT");
    if (program_read(path, &program) && !model_emit_c(&program, subject == NULL ? "" : subject,
                                                      getenv("STRONGROOM_VARIANT"), stdout))
        (void)complain(path, "could not be written");
}

static void assemble(const char *folder, const char *path)
{
    static struct file file;
    char to[4096];
    const char *name = strrchr(path, '/') == NULL ? path : strrchr(path, '/') + 1;
    if (!file_read(path, &file))
        return;
    (void)snprintf(to, sizeof to, "%s/%.*s", folder, (int)strcspn(name, "."), name);
    FILE *stream = fopen(to, "we");
    if (stream == NULL || fwrite(file.bytes, 1, file.count, stream) != file.count)
        (void)complain(to, "could not be written");
    if (stream != NULL && fclose(stream) != 0)
        (void)complain(to, "could not be written");
}

static void print_variants(void)
{
    static struct model_subject subject;
    char error[256];
    const char *path = getenv("STRONGROOM_SUBJECT");
    if (path == NULL)
        (void)complain("STRONGROOM_SUBJECT", "is not set: the path of a subject's shared object");
    else if (!model_subject_load(&subject, path, error, sizeof error))
        (void)complain(path, error);
    for (size_t i = 0; i < subject.count; i++)
        (void)puts(subject.variants[i].name);
}

/* ---- the dictionary ---- */

#define ARGS_MAX 8u /* of one operation: some have hundreds that differ in number only */

static void print_entry(const char *name, unsigned number, const uint8_t *bytes, size_t count)
{
    size_t length = strcspn(name, " ");
    for (size_t i = 0; i < length; i++)
        (void)putchar(name[i] == '-' ? '_' : name[i]);
    (void)printf("_%u=\"", number);
    for (size_t i = 0; i < count; i++)
        (void)printf("\\x%02x", bytes[i]);
    (void)puts("\"");
}

/* The last COUNT bytes of the only record of a program. */
static void print_record(const char *name, unsigned number, const struct model_operation *op,
                         size_t count)
{
    static struct model_program program = {.count = 1};
    uint8_t bytes[2 * MODEL_RECORD_BYTES];
    program.operations[0] = *op;
    if (model_program_encode(&program, bytes, sizeof bytes) == sizeof bytes)
        print_entry(name, number, bytes + sizeof bytes - count, count);
}

/* Each operation with the arguments that it has, and a size that it may have. */
static void print_operations(unsigned code)
{
    bool seen[UINT8_MAX + 1] = {false};
    unsigned number = 0;
    for (unsigned arg = 0; arg <= UINT8_MAX && number < ARGS_MAX; arg++) {
        char name[96];
        struct model_operation op = {.code = (uint8_t)code,
                                     .arg = (uint8_t)arg,
                                     .size = {.kind = MODEL_SIZE_PAGES, .value = 1 << 16}};
        op = model_operation_canonical(&op);
        if (seen[op.arg])
            continue;
        seen[op.arg] = true;
        (void)model_operation_print(&op, name, sizeof name);
        print_record(name, number++, &op, MODEL_RECORD_BYTES);
    }
}

static void print_dictionary(void)
{
    static const int errors[] = {EPERM, EINTR, EAGAIN, ENOMEM, EINVAL, ENOSYS};
    static const int flags[] = {0, MODEL_FAIL_AFTER, MODEL_FAIL_ON};
    const size_t size_bytes = 5; /* kind and value, at the end of a record */
    for (unsigned code = 0; code < MODEL_CODES; code++)
        print_operations(code);
    for (unsigned i = 0; i < MODEL_SIZE_TABLE_ENTRIES; i++) {
        struct model_operation op = {.code = MODEL_ALLOC, .size = model_size_interesting(i)};
        print_record("size", i, &op, size_bytes);
    }
    for (unsigned i = 0; i < 18; i++) {
        struct model_operation op = {.code = MODEL_FAIL,
                                     .size = {.value = errors[i % 6] | flags[i / 6]}};
        print_record("fault", i, &op, size_bytes);
    }
}

int main(int argc, char **argv)
{
    const char *first = argc > 1 ? argv[1] : "";
    if (strcmp(first, "--help") == 0)
        (void)fputs(usage, stdout);
    else if (strcmp(first, "--variants") == 0 && argc == 2)
        print_variants();
    else if (strcmp(first, "--dictionary") == 0 && argc == 2)
        print_dictionary();
    else if (strcmp(first, "--print") == 0 && argc == 3)
        print(argv[2]);
    else if (strcmp(first, "--c") == 0 && argc == 3)
        print_c(argv[2]);
    else if (strcmp(first, "--assemble") == 0 && argc > 3)
        for (int i = 3; i < argc; i++)
            assemble(argv[2], argv[i]);
    else if (strcmp(first, "--counts") == 0 && argc > 2)
        run(argv + 2, true);
    else if ((apart = strcmp(first, "--apart") == 0) && argc > 2)
        run(argv + 2, false);
    else if (argc > 1 && first[0] != '-')
        run(argv + 1, false);
    else
        (void)complain("arguments", "--help says which there are");
    return status;
}
