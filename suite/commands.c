/* SPDX-License-Identifier: MIT */
/* commands.c: verify, compare, list, explain, replay: options in, a report and a status out. */
#include "commands.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nearest.h"
#include "report/report.h"
#include "run.h"

#define ERROR_BYTES 1024u

int complain(const char *format, ...)
{
    char line[ERROR_BYTES];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    for (char *c = line; *c != '\0'; c++) { /* it stays one line, whatever it quotes */
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    }
    fprintf(stderr, "strongroom: %s\n", line);
    return 2;
}

/* ---- verify, compare ---- */

/* Where the text for people goes: to stderr where stdout is taken by a report. */
static FILE *people(const struct options *options)
{
    for (unsigned output = 0; output < OUTPUTS; output++) {
        if (options->outputs[output] != NULL && strcmp(options->outputs[output], "-") == 0)
            return stderr;
    }
    return stdout;
}

/* Can all that was asked for be written? Found out before hours are spent. */
static bool outputs_check(const struct options *options, char *error)
{
    for (unsigned output = 0; output < OUTPUTS; output++) {
        if (options->outputs[output] != NULL &&
            !output_check(options->outputs[output], error, ERROR_BYTES))
            return false;
    }
    return true;
}

static struct run_settings settings_of(const struct options *options)
{
    return (struct run_settings){
        .subjects = options->words.items,
        .only = options->only.items,
        .skip = options->skip.items,
        .skip_slow = options->skip_slow,
        .quick = options->quick,
        .allow_swap = options->allow_swap,
        .only_case = options->only_case,
        .jobs = options->jobs,
        .timeout_ms = options->timeout_ms,
        .seed = options->seed,
        .seeded = options->seeded,
    };
}

/* Runs what the options ask for. False: error says why, nothing has been judged. */
static bool run_asked(const struct options *options, struct run_result *result, char *error)
{
    struct run_settings settings = settings_of(options);
    struct progress progress;
    bool ran;

    if (!outputs_check(options, error))
        return false;
    progress = progress_begin();
    settings.progress = progress_show;
    settings.progress_arg = &progress;
    ran = run(&settings, result, error, ERROR_BYTES);
    progress_end(&progress);
    return ran;
}

/* A JSON value as a text that the caller frees; takes the value over. */
static char *json_text(json_t *json)
{
    char *text = json != NULL ? json_dumps(json, JSON_INDENT(2)) : NULL;

    json_decref(json);
    return text;
}

/* The text of one report, which the caller frees. NULL: no memory; of OUTPUT_C: nothing is broken, or what is
 * broken of whose cannot be written. */
static char *output_make(enum output output, const struct options *options,
                         const struct run_result *result, const struct subject_result **whose)
{
    const char *const *allowed = options->allowed.items;

    switch (output) {
    case OUTPUT_C:
        return report_program(result, options->only_case, whose);
    case OUTPUT_JSON:
        return json_text(report_json(result));
    case OUTPUT_JUNIT:
        return report_junit(result, allowed);
    case OUTPUT_SARIF:
        return json_text(report_sarif(result, allowed));
    case OUTPUT_MARKDOWN:
        return report_markdown(result, allowed);
    case OUTPUTS:
    default:
        return NULL;
    }
}

/* Writes one report, if asked for. Returns status, or 2 where it could not be written. */
static int output_written(enum output output, const struct options *options,
                          const struct run_result *result, int status)
{
    const char *path = options->outputs[output];
    char error[ERROR_BYTES];
    const struct subject_result *whose = NULL;
    char *text;

    if (path == NULL)
        return status;
    text = output_make(output, options, result, &whose);
    if (whose != NULL && whose->is_program)
        fprintf(stderr,
                "strongroom: --c: %s is a program, which no other can load: '%s' is not written\n",
                whose->path, path);
    else if (text == NULL && output == OUTPUT_C)
        fprintf(stderr, "strongroom: --c: nothing is broken, '%s' is not written\n", path);
    else if (text == NULL)
        status = complain("cannot write '%s': no memory", path);
    else if (!output_text(path, text, error, sizeof error))
        status = complain("%s", error);
    free(text);
    return status;
}

/* The same for all of them. */
static int result_written(const struct options *options, const struct run_result *result,
                          int status)
{
    for (unsigned output = 0; output < OUTPUTS; output++)
        status = output_written((enum output)output, options, result, status);
    return status;
}

static int verify(const struct options *options)
{
    struct terminal to = terminal_on(people(options), options->verbose);
    struct run_result result = {0};
    char error[ERROR_BYTES];
    int status;

    if (options->words.count == 0)
        return complain("verify: name a subject, or the path of a .so or a program; "
                        "'strongroom list' shows what was found here");
    if (!run_asked(options, &result, error))
        return complain("%s", error);
    report_verify(&to, &result, options->allowed.items);
    status = run_result_gate(&result, options->allowed.items);
    status = result_written(options, &result, status);
    run_result_free(&result);
    return status;
}

static int compare(const struct options *options)
{
    struct terminal to = terminal_on(people(options), options->verbose);
    struct run_result result = {0};
    char error[ERROR_BYTES];
    int status;

    if (!run_asked(options, &result, error))
        return complain("%s", error);
    report_compare(&to, &result);
    status = result_written(options, &result, run_result_compared(&result));
    run_result_free(&result);
    return status;
}

/* ---- list ---- */

struct catalog {
    struct catalog_entry *entries;
    struct skipped_subject *skipped;
    size_t count, skipped_count;
};

static void catalog_free(struct catalog *catalog)
{
    for (size_t i = 0; i < catalog->count; i++)
        subject_result_free(&catalog->entries[i].subject);
    free(catalog->entries);
    free(catalog->skipped);
}

static int list_written(const struct options *options, const struct catalog *catalog)
{
    const char *path = options->outputs[OUTPUT_JSON];
    char error[ERROR_BYTES];
    int status = 0;
    json_t *json;

    if (path == NULL)
        return 0;
    json = report_list_json(catalog->entries, catalog->count, catalog->skipped,
                            catalog->skipped_count);
    if (!output_json(path, json, error, sizeof error))
        status = complain("%s", error);
    json_decref(json);
    return status;
}

static int list(const struct options *options)
{
    struct terminal to = terminal_on(people(options), false);
    struct catalog catalog = {0};
    char error[ERROR_BYTES];
    int status;

    if (options->words.count > 0)
        return complain("list: takes no subject: '%s'", options->words.items[0]);
    if (!outputs_check(options, error))
        return complain("%s", error);
    if (!catalog_list(&catalog.entries, &catalog.count, &catalog.skipped, &catalog.skipped_count,
                      error, sizeof error))
        return complain("%s", error);
    report_list(&to, catalog.entries, catalog.count, catalog.skipped, catalog.skipped_count);
    status = list_written(options, &catalog);
    catalog_free(&catalog);
    return status;
}

/* ---- explain, replay ---- */

static void explain_each(const struct options *options, const struct terminal *to)
{
    if (options->all) {
        for (const struct promise *const *p = promises; *p != NULL; p++) {
            fputs(p == promises ? "" : "\n", to->out);
            report_promise(to, *p);
        }
        return;
    }
    for (size_t i = 0; i < options->words.count; i++) {
        fputs(i == 0 ? "" : "\n", to->out);
        report_promise(to, promise_find(options->words.items[i]));
    }
}

static int explain(const struct options *options)
{
    struct terminal to = terminal_on(stdout, false);
    char error[ERROR_BYTES];

    if (options->words.count == 0 && !options->all)
        return complain("explain: name a promise, or --all; 'strongroom list' names them");
    for (size_t i = 0; i < options->words.count; i++) {
        if (!promise_is_known(options->words.items[i], error, sizeof error))
            return complain("%s", error);
    }
    explain_each(options, &to);
    return 0;
}

static int replay_program(const struct options *options)
{
    struct run_settings settings = settings_of(options);
    char error[ERROR_BYTES] = "";
    int status;

    if (options->print && options->words.count == 1)
        return replay_print(options->words.items[0], error, sizeof error) ? 0
                                                                          : complain("%s", error);
    if (options->print)
        return complain("replay: --print takes a program: strongroom replay --print PROGRAM");
    if (options->words.count != 2)
        return complain("replay: takes a program and a subject: strongroom replay PROGRAM SUBJECT");
    settings.subjects = NULL;
    status = replay(options->words.items[0], options->words.items[1], options->variant, &settings,
                    error, sizeof error);
    return error[0] != '\0' ? complain("%s", error) : status;
}

/* ---- the tables ---- */

#define OPTIONS_RUN                                                                               \
    {"only", required_argument, NULL, OPTION_ONLY},                                               \
        {"case", required_argument, NULL, OPTION_CASE},                                           \
        {"skip", required_argument, NULL, OPTION_SKIP},                                           \
        {"quick", no_argument, NULL, OPTION_QUICK},                                               \
        {"allow-swap", no_argument, NULL, OPTION_ALLOW_SWAP},                                     \
        {"c", required_argument, NULL, OPTION_C}, {"json", required_argument, NULL, OPTION_JSON}, \
        {"junit", required_argument, NULL, OPTION_JUNIT},                                         \
        {"sarif", required_argument, NULL, OPTION_SARIF},                                         \
        {"markdown", required_argument, NULL, OPTION_MARKDOWN},                                   \
        {"jobs", required_argument, NULL, OPTION_JOBS},                                           \
        {"timeout", required_argument, NULL, OPTION_TIMEOUT},                                     \
        {"seed", required_argument, NULL, OPTION_SEED},                                           \
    {                                                                                             \
        "verbose", no_argument, NULL, OPTION_VERBOSE                                              \
    }
#define OPTIONS_END                           \
    {"help", no_argument, NULL, OPTION_HELP}, \
    {                                         \
        NULL, 0, NULL, 0                      \
    }

static const struct option verify_table[] = {
    OPTIONS_RUN,
    {"allow-unobserved", required_argument, NULL, OPTION_ALLOW_UNOBSERVED},
    OPTIONS_END,
};
static const struct option compare_table[] = {OPTIONS_RUN, OPTIONS_END};
static const struct option list_table[] = {
    {"json", required_argument, NULL, OPTION_JSON},
    OPTIONS_END,
};
static const struct option explain_table[] = {
    {"all", no_argument, NULL, OPTION_ALL},
    OPTIONS_END,
};
static const struct option replay_table[] = {
    {"print", no_argument, NULL, OPTION_PRINT},
    {"variant", required_argument, NULL, OPTION_VARIANT},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"seed", required_argument, NULL, OPTION_SEED},
    OPTIONS_END,
};

#define HELP_RUN                                                                                        \
    "  --only PROMISE,...   judge only these promises\n"                                                \
    "  --case LABEL         run only the case of this label\n"                                          \
    "  --skip PROMISE,...   leave these out; `slow` stands for those that `list` calls so\n"            \
    "  --quick              a few sizes, nothing slow: some seconds\n"                                  \
    "  --allow-swap         have a swap file of its own for no-swap: changes the host meanwhile\n"      \
    "  --c FILE             write the first case that was broken as a C program of its own; with\n"     \
    "                       --case, that case\n"                                                        \
    "  --json FILE          write the whole result there too; - is stdout, and the table then\n"        \
    "                       goes to stderr\n"                                                           \
    "  --junit FILE         the same as JUnit XML: a suite for each subject, a test for each promise\n" \
    "  --sarif FILE         what is broken as SARIF 2.1.0, for code scanning\n"                         \
    "  --markdown FILE      the same for a job summary: below 1 MiB, whatever was found\n"              \
    "  --jobs N             cases side by side; as many as there are cores\n"                           \
    "  --timeout S          seconds that one case may take\n"                                           \
    "  --seed N             the same number gives the same programs in the same order\n"                \
    "  --verbose            the sizes swept, the cases counted, what the controls showed\n"

const struct command commands[] = {
    {"verify", "judge one allocator, or several; the exit status is a gate",
     "usage: strongroom verify SUBJECT|PATH... [options]\n"
     "\n"
     "Runs every promise against the subject and says which hold, which are broken, and how it\n"
     "knows. A library's name stands for all its variants; a path, with a slash in it, for a shared\n"
     "object or a program.\n"
     "\n" HELP_RUN "  --allow-unobserved PROMISE,...\n"
     "                       accept that these cannot be observed here\n"
     "\n"
     "exit status: 0 every core and claimed promise holds\n"
     "             1 something is broken\n"
     "             2 the verifier or its arguments failed\n"
     "             3 nothing is broken, but a core or claimed promise could not be observed here\n",
     verify_table, verify},
    {"compare", "all allocators found here side by side, or those named",
     "usage: strongroom compare [SUBJECT|PATH]... [options]\n"
     "\n"
     "Runs every promise against every subject that was found, or against those named.\n"
     "\n" HELP_RUN "\n"
     "exit status: 0 once each was judged, whatever was found; 2 the verifier or its arguments "
     "failed\n",
     compare_table, compare},
    {"list", "the allocators found here, those that are skipped, and the promises",
     "usage: strongroom list [--json FILE]\n"
     "\n"
     "Shows the subjects found beside the program, what would add those that are skipped, and\n"
     "all promises.\n"
     "\n"
     "  --json FILE          write the list there too; - is stdout\n",
     list_table, list},
    {"explain", "what a promise means, how it is observed, what breaks it",
     "usage: strongroom explain PROMISE... | --all\n", explain_table, explain},
    {"replay", "run one program on one allocator and show each operation",
     "usage: strongroom replay PROGRAM SUBJECT [--variant NAME] [--timeout S] [--seed N]\n"
     "       strongroom replay --print PROGRAM\n"
     "\n"
     "Runs the program in the file PROGRAM (text or bytes; 'model/program.h' describes both) on\n"
     "the subject, a line for each operation; --print only shows it as text. Any bytes are a\n"
     "program; they are read as text where they begin with 'strongroom program', and where all of\n"
     "them can be printed. --variant says which of the subject's variants, where it has several.\n"
     "\n"
     "exit status: 0 it ran to its end; 1 the subject died, hung or broke a promise; 2 the\n"
     "             verifier or its arguments failed\n",
     replay_table, replay_program},
    {NULL, NULL, NULL, NULL, NULL},
};
