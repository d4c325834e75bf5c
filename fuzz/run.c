/* SPDX-License-Identifier: MIT */
/*
 * run.c: the target without an engine: runs each program of the files and folders that it is given, in one
 * process, and says what was seen broken.
 *
 *     strongroom-fuzz [--counts] FILE|FOLDER...
 *
 * On stderr one line of JSON per program that breaks a promise; with --counts, on stdout, how often each operation
 * came to each outcome, and each check of the oracle was made. Exit status: 0 nothing is broken, 1 something is, 2
 * it could not be looked at.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz/target.h"
#include "model/program.h"

#define FILE_BYTES_MAX ((size_t)1 << 20)

static const char usage[] =
    "usage: strongroom-fuzz [--counts] FILE|FOLDER...\n\n"
    "Runs programs (bytes, or text that begins with `strongroom program`) on the subject at $STRONGROOM_SUBJECT.\n"
    "$STRONGROOM_VARIANT names its variant; fuzz/README.md has the rest.\n"
    "Exit status: 0 nothing is broken, 1 something is, 2 it could not be looked at.\n";

static int status;

static int failed(const char *path, const char *why)
{
    (void)fprintf(stderr, "strongroom-fuzz: %s: %s\n", path, why);
    return 2;
}

/* Text is assembled first. */
static size_t assemble(const char *path, char *bytes, size_t count, uint8_t *out, size_t out_bytes)
{
    static struct model_program program;
    char error[160];
    bytes[count] = '\0';
    if (strncmp(bytes, "strongroom program", 18) != 0) {
        memcpy(out, bytes, count);
        return count;
    }
    if (!model_program_parse(&program, bytes, NULL, error, sizeof error)) {
        status = failed(path, error);
        return 0;
    }
    return model_program_encode(&program, out, out_bytes);
}

static void run_file(const char *path)
{
    static char bytes[FILE_BYTES_MAX + 1];
    static uint8_t program[FILE_BYTES_MAX];
    FILE *file = fopen(path, "re");
    size_t count = file != NULL ? fread(bytes, 1, FILE_BYTES_MAX, file) : 0;
    if (file == NULL || ferror(file) != 0) {
        status = failed(path, strerror(errno));
    } else {
        size_t length = assemble(path, bytes, count, program, sizeof program);
        const struct violation *violation = target_run(program, length);
        if (violation != NULL) {
            (void)fprintf(stderr, "%s: ", path);
            target_print(violation);
            status = status == 2 ? 2 : 1;
        }
    }
    if (file != NULL)
        (void)fclose(file);
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
    (void)printf("programs %" PRIu64 "\n", counts->programs);
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

int main(int argc, char **argv)
{
    int first = 1;
    bool counts = argc > 1 && strcmp(argv[1], "--counts") == 0;
    first += counts;
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        (void)fputs(usage, stdout);
        return 0;
    }
    if (first >= argc || argv[first][0] == '-') {
        (void)fputs("strongroom-fuzz: which files? --help says more\n", stderr);
        return 2;
    }
    target_start();
    for (int i = first; i < argc; i++)
        run_path(argv[i]);
    if (counts)
        print_counts();
    return status;
}
