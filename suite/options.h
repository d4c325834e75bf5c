/* SPDX-License-Identifier: MIT */
/*
 * options.h: what may stand on a command line, read by getopt_long, one table per command.
 */
#ifndef SUITE_OPTIONS_H
#define SUITE_OPTIONS_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `val` of the long options; past every letter */
enum option_code {
    OPTION_HELP = 256,
    OPTION_ONLY,
    OPTION_CASE,
    OPTION_JSON,
    OPTION_JUNIT,
    OPTION_SARIF,
    OPTION_MARKDOWN,
    OPTION_ALLOW_UNOBSERVED,
    OPTION_JOBS,
    OPTION_TIMEOUT,
    OPTION_SEED,
    OPTION_VERBOSE,
    OPTION_SKIP,
    OPTION_QUICK,
    OPTION_ALLOW_SWAP,
    OPTION_C,
    OPTION_ALL,
    OPTION_PRINT,
    OPTION_VARIANT
};

/* What may be written beside the text for people, each to a file of its own. */
enum output { OUTPUT_C, OUTPUT_JSON, OUTPUT_JUNIT, OUTPUT_SARIF, OUTPUT_MARKDOWN, OUTPUTS };

/* A list of names, NULL-terminated; items is NULL while there are none. */
struct names {
    const char **items;
    size_t count;
};

struct options {
    struct names words;   /* what is not an option: subjects, promises, files */
    struct names only;    /* promise ids, known ones, each once */
    struct names allowed; /* the same, of --allow-unobserved */
    struct names skip;    /* the same, of --skip; `slow` is not among them but in skip_slow */
    const char *only_case;
    const char *variant;          /* of several of the subject's; NULL: not given */
    const char *outputs[OUTPUTS]; /* where each goes; "-": stdout; NULL: not asked for */
    unsigned jobs, timeout_ms;    /* 0: not given */
    uint64_t seed;
    bool seeded, verbose, all, print, help, skip_slow, quick, allow_swap;
};

/* Reads argv (argv[0] is the command's own name) by a command's table. On failure false, and
 * error holds one line. The caller frees in both cases. */
bool options_read(struct options *options, int argc, char **argv, const struct option *table,
                  char *error, size_t error_bytes);
void options_free(struct options *options);

/* As typed: "--json" */
const char *output_flag(enum output output);

/* One known promise by its name, for error to say what is wrong with it. */
bool promise_is_known(const char *id, char *error, size_t error_bytes);

#endif
