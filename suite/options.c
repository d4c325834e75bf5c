/* SPDX-License-Identifier: MIT */
/* options.c: the command line's options, their values checked, and one line on what is wrong. */
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nearest.h"
#include "promise.h"

#define JOBS_MOST 1024u
#define TIMEOUT_MOST_S 86400.0
#define LIST_MOST 128u /* options, promises */

struct complaint {
    char *text;
    size_t bytes;
};

__attribute__((format(printf, 2, 3))) static bool wrong(struct complaint to, const char *format,
                                                        ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(to.text, to.bytes, format, arguments);
    va_end(arguments);
    return false;
}

/* "unknown KIND 'WORD'; did you mean 'NAME'?", else with what helps instead. */
static bool unknown(struct complaint to, const char *kind, const char *word,
                    const char *const *names, const char *otherwise)
{
    const char *close = nearest(word, names);

    if (close != NULL)
        return wrong(to, "unknown %s '%s'; did you mean '%s'?", kind, word, close);
    return wrong(to, "unknown %s '%s'; %s", kind, word, otherwise);
}

/* ---- lists of names ---- */

static bool names_has(const struct names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->items[i], name) == 0)
            return true;
    }
    return false;
}

static void names_add(struct names *names, const char *name)
{
    const char **items = realloc(names->items, (names->count + 2) * sizeof *items);

    if (items == NULL)
        abort();
    names->items = items;
    items[names->count++] = name;
    items[names->count] = NULL;
}

static bool promise_check(const char *id, struct complaint to)
{
    const char *ids[LIST_MOST + 1] = {NULL};

    if (promise_find(id) != NULL)
        return true;
    for (size_t i = 0; i < LIST_MOST && promises[i] != NULL; i++)
        ids[i] = promises[i]->id;
    return unknown(to, "promise", id, ids, "'strongroom list' names them");
}

bool promise_is_known(const char *id, char *error, size_t error_bytes)
{
    return promise_check(id, (struct complaint){error, error_bytes});
}

/* "a,b": each a known promise. */
static bool promises_read(struct names *names, char *list, struct complaint to)
{
    for (char *rest = list, *id; (id = strsep(&rest, ",")) != NULL;) {
        if (!promise_check(id, to))
            return false;
        if (!names_has(names, promise_find(id)->id))
            names_add(names, promise_find(id)->id);
    }
    return true;
}

/* The same, with the word `slow` for those that are. */
static bool skipped_read(struct options *options, char *list, struct complaint to)
{
    for (char *rest = list, *id; (id = strsep(&rest, ",")) != NULL;) {
        if (strcmp(id, "slow") == 0)
            options->skip_slow = true;
        else if (!promises_read(&options->skip, id, to))
            return false;
    }
    return true;
}

/* ---- numbers ---- */

static bool whole_number(const char *text, uint64_t *value)
{
    char *end;

    if (!isdigit((unsigned char)text[0]))
        return false;
    errno = 0;
    *value = strtoull(text, &end, text[0] == '0' && (text[1] | 0x20) == 'x' ? 16 : 10);
    return errno == 0 && *end == '\0';
}

static bool jobs_read(struct options *options, const char *text, struct complaint to)
{
    uint64_t value;

    if (!whole_number(text, &value) || value == 0 || value > JOBS_MOST)
        return wrong(to, "--jobs: '%s' is not a number from 1 to %u", text, JOBS_MOST);
    options->jobs = (unsigned)value;
    return true;
}

static bool timeout_read(struct options *options, const char *text, struct complaint to)
{
    char *end;
    double seconds = strtod(text, &end);

    if (!isdigit((unsigned char)text[0]) || *end != '\0' || !(seconds >= 0.1) ||
        seconds > TIMEOUT_MOST_S)
        return wrong(to, "--timeout: '%s' is not a number of seconds from 0.1 to %.0f", text,
                     TIMEOUT_MOST_S);
    options->timeout_ms = (unsigned)lround(seconds * 1000);
    return true;
}

static bool seed_read(struct options *options, const char *text, struct complaint to)
{
    if (!whole_number(text, &options->seed))
        return wrong(to, "--seed: '%s' is not a whole number below 2^64", text);
    options->seeded = true;
    return true;
}

/* ---- outputs ---- */

const char *output_flag(enum output output)
{
    static const char *const flags[OUTPUTS] = {"--c", "--json", "--junit", "--sarif", "--markdown"};
    return flags[output];
}

/* One of them at most goes to stdout: two in one stream would be neither. */
static bool output_read(struct options *options, enum output output, const char *path,
                        struct complaint to)
{
    if (path[0] == '\0')
        return wrong(to, "%s: the name of the file is empty", output_flag(output));
    options->outputs[output] = path;
    for (unsigned other = 0; other < OUTPUTS; other++) {
        const char *taken = options->outputs[other];
        if (other != output && taken != NULL && strcmp(path, "-") == 0 && strcmp(taken, "-") == 0)
            return wrong(to, "%s and %s cannot both go to stdout: give one of them a file",
                         output_flag((enum output)other), output_flag(output));
    }
    return true;
}

/* ---- options ---- */

static bool option_take(struct options *options, int code, char *value, struct complaint to)
{
    switch (code) {
    case 'h':
    case OPTION_HELP:
        options->help = true;
        return true;
    case OPTION_ONLY:
        return promises_read(&options->only, value, to);
    case OPTION_ALLOW_UNOBSERVED:
        return promises_read(&options->allowed, value, to);
    case OPTION_CASE:
        options->only_case = value;
        return true;
    case OPTION_JSON:
        return output_read(options, OUTPUT_JSON, value, to);
    case OPTION_JUNIT:
        return output_read(options, OUTPUT_JUNIT, value, to);
    case OPTION_SARIF:
        return output_read(options, OUTPUT_SARIF, value, to);
    case OPTION_MARKDOWN:
        return output_read(options, OUTPUT_MARKDOWN, value, to);
    case OPTION_JOBS:
        return jobs_read(options, value, to);
    case OPTION_TIMEOUT:
        return timeout_read(options, value, to);
    case OPTION_SEED:
        return seed_read(options, value, to);
    case OPTION_SKIP:
        return skipped_read(options, value, to);
    case OPTION_QUICK:
        options->quick = options->skip_slow = true;
        return true;
    case OPTION_ALLOW_SWAP:
        options->allow_swap = true;
        return true;
    case OPTION_C:
        return output_read(options, OUTPUT_C, value, to);
    case OPTION_VERBOSE:
        options->verbose = true;
        return true;
    case OPTION_VARIANT:
        options->variant = value;
        return true;
    case OPTION_PRINT:
        options->print = true;
        return true;
    case OPTION_ALL:
        options->all = true;
        return true;
    default:
        return wrong(to, "an option that nobody reads");
    }
}

static const char *option_name(const struct option *table, int code)
{
    for (; table->name != NULL; table++) {
        if (table->val == code)
            return table->name;
    }
    return "?";
}

/* An option, as typed, that getopt_long did not find in the table. */
static bool option_unknown(const char *word, const struct option *table, struct complaint to)
{
    char dashed[LIST_MOST][32], given[64];
    const char *names[LIST_MOST + 1] = {NULL};

    for (size_t i = 0; i < LIST_MOST && table[i].name != NULL; i++) {
        snprintf(dashed[i], sizeof dashed[i], "--%s", table[i].name);
        names[i] = dashed[i];
    }
    snprintf(given, sizeof given, "%.*s", (int)strcspn(word, "="), word);
    return unknown(to, "option", given, names, "--help shows those there are");
}

/* code is ':' (its value is missing) or '?' (unknown, or a value that it does not take). */
static bool option_wrong(int code, char **argv, const struct option *table, struct complaint to)
{
    char letter[3] = {'-', (char)optopt, '\0'};

    if (code == ':')
        return wrong(to, "option '--%s' needs a value", option_name(table, optopt));
    if (optopt >= OPTION_HELP)
        return wrong(to, "option '--%s' takes no value", option_name(table, optopt));
    return option_unknown(optopt != 0 ? letter : argv[optind - 1], table, to);
}

bool options_read(struct options *options, int argc, char **argv, const struct option *table,
                  char *error, size_t error_bytes)
{
    struct complaint to = {error, error_bytes};
    int code;

    *options = (struct options){0};
    optind = 0; /* glibc: begin anew */
    opterr = 0;
    while ((code = getopt_long(argc, argv, ":h", table, NULL)) != -1) {
        if (code == ':' || code == '?')
            return option_wrong(code, argv, table, to);
        if (!option_take(options, code, optarg, to))
            return false;
    }
    for (int i = optind; i < argc; i++)
        names_add(&options->words, argv[i]);
    return true;
}

void options_free(struct options *options)
{
    free(options->words.items);
    free(options->only.items);
    free(options->allowed.items);
    free(options->skip.items);
    *options = (struct options){0};
}
