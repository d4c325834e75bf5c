/* SPDX-License-Identifier: MIT */
/* catalog.c: finds subjects and lets them describe themselves, each in a process of its own. */
#include "suite/catalog.h"

#include <errno.h>
#include <glob.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "suite/judge.h"
#include "suite/nearest.h"
#include "suite/object.h"

static struct candidate *candidate_add(struct candidates *candidates)
{
    if (candidates->count == candidates->room) {
        candidates->room = candidates->room * 2 + 8;
        struct candidate *more = realloc(candidates->list, candidates->room * sizeof *more);
        if (more == NULL)
            abort();
        candidates->list = more;
    }
    struct candidate *candidate = &candidates->list[candidates->count++];
    *candidate = (struct candidate){0};
    return candidate;
}

/* It died before it could say its name: the file's name has to do. */
static void add_dead(struct candidates *candidates, const struct variant *variant,
                     const struct case_run *run)
{
    static const struct promise loading = {.id = ""};
    struct evidence evidence = {.details = json_object()};
    struct candidate *candidate = candidate_add(candidates);
    char copy[PATH_MAX];
    (void)judge_case(&loading, run, &evidence);
    json_decref(evidence.details);
    candidate->variant = *variant;
    candidate->dead = true;
    (void)snprintf(candidate->death, sizeof candidate->death, "%s", evidence.summary);
    (void)snprintf(copy, sizeof copy, "%s", variant->path);
    char *name = basename(copy);
    name[strcspn(name, ".")] = '\0';
    (void)snprintf(candidate->variant.is.name, sizeof candidate->variant.is.name, "%s", name);
    (void)snprintf(candidate->variant.is.library, sizeof candidate->variant.is.library, "%s", name);
}

static void add_described(struct candidates *candidates, const struct variant *variant,
                          const struct case_run *run)
{
    for (size_t i = 0; i < run->variants_count; i++) {
        struct candidate *candidate = candidate_add(candidates);
        candidate->variant = *variant;
        candidate->variant.is = run->variants[i];
    }
}

/* Can the kernel start it? What it needs for that is named, where it is missing. */
static bool program_starts(const char *path, char *why, size_t why_bytes)
{
    char interpreter[PATH_MAX];
    if (access(path, X_OK) != 0)
        (void)snprintf(why, why_bytes, "a program that may not be executed: chmod +x");
    else if (object_interpreter(path, interpreter) && access(interpreter, X_OK) != 0)
        (void)snprintf(why, why_bytes, "its interpreter '%.200s' cannot be executed: %s",
                       interpreter, strerror(errno));
    else
        return true;
    return false;
}

/* It ran, and never came to us: how it ended, and what may be wrong. */
static void say_silent(const struct case_run *run, const char *path, char *error,
                       size_t error_bytes)
{
    char how[64];
    if (run->ending == ENDED_HUNG)
        (void)snprintf(how, sizeof how, "was still running when its time was up");
    else if (run->ending == ENDED_KILLED)
        (void)snprintf(how, sizeof how, "was killed by SIG%s", sigabbrev_np(run->code));
    else
        (void)snprintf(how, sizeof how, "exited with status %d", run->code);
    (void)snprintf(
        error, error_bytes,
        "%s: %s%s, without a call of strongroom_case() that found descriptor 3 open: see "
        "contract/strongroom_case.h",
        path, how, run->as_nobody ? ", as user nobody" : "");
}

bool candidates_add_file(struct candidates *candidates, const struct host *host, const char *path,
                         unsigned timeout_ms, char *error, size_t error_bytes)
{
    struct variant variant = {0};
    struct case_run run;
    if (realpath(path, variant.path) == NULL || access(variant.path, R_OK) != 0) {
        (void)snprintf(error, error_bytes, "%s: %s", path, strerror(errno));
        return false;
    }
    char why[320];
    variant.is_program = object_is_program(variant.path);
    if (!object_is_whole(variant.path, why, sizeof why) ||
        (variant.is_program && !program_starts(variant.path, why, sizeof why))) {
        (void)snprintf(error, error_bytes, "%s: %s%s", path,
                       variant.is_program ? "" : "not a shared object: ", why);
        return false;
    }
    struct case_order order = {.variant = &variant, .label = "load", .timeout_ms = timeout_ms};
    supervise(host, &order, &run);
    if (run.ending == ENDED_HUNG) { /* only if it hangs again, with three times the time */
        case_run_free(&run);
        order.timeout_ms *= 3;
        supervise(host, &order, &run);
    }
    bool unusable = run.ending == ENDED_REFUSED || run.ending == ENDED_FAILED;
    bool silent = !unusable && variant.is_program && !run.greeted;
    if (silent)
        say_silent(&run, path, error, error_bytes);
    else if (unusable)
        (void)snprintf(error, error_bytes, "%s: %s", path, run.text);
    else if (run.ending == ENDED_FINISHED && run.variants_count > 0)
        add_described(candidates, &variant, &run);
    else
        add_dead(candidates, &variant, &run);
    case_run_free(&run);
    return !unusable && !silent;
}

static bool add_glob(struct candidates *candidates, const struct host *host, const char *folder,
                     unsigned timeout_ms, char *error, size_t error_bytes)
{
    char pattern[PATH_MAX + 32];
    glob_t found;
    bool good = true;
    (void)snprintf(pattern, sizeof pattern, "%s/%s/*.so", host->directory, folder);
    if (glob(pattern, 0, NULL, &found) != 0)
        return true;
    for (size_t i = 0; i < found.gl_pathc && good; i++)
        good = candidates_add_file(candidates, host, found.gl_pathv[i], timeout_ms, error,
                                   error_bytes);
    globfree(&found);
    return good;
}

bool candidates_add_all(struct candidates *candidates, const struct host *host, unsigned timeout_ms,
                        char *error, size_t error_bytes)
{
    return add_glob(candidates, host, "subjects", timeout_ms, error, error_bytes);
}

static bool is_path(const char *name)
{
    size_t length = strlen(name);
    return strchr(name, '/') != NULL || (length > 3 && strcmp(name + length - 3, ".so") == 0);
}

static void say_unknown(const struct candidates *known, const char *name, char *error,
                        size_t error_bytes)
{
    const char *names[2 * MODEL_VARIANTS_MAX + 1] = {NULL};
    size_t count = 0;
    for (size_t i = 0; i < known->count && count + 2 < sizeof names / sizeof *names; i++) {
        names[count++] = known->list[i].variant.is.name;
        names[count++] = known->list[i].variant.is.library;
    }
    const char *near = nearest(name, names);
    if (near != NULL)
        (void)snprintf(error, error_bytes, "unknown subject '%s'; did you mean '%s'?", name, near);
    else
        (void)snprintf(error, error_bytes,
                       "unknown subject '%s'; `strongroom list` shows them, or give a path", name);
}

bool candidates_add(struct candidates *candidates, const struct host *host, const char *name,
                    unsigned timeout_ms, char *error, size_t error_bytes)
{
    if (is_path(name))
        return candidates_add_file(candidates, host, name, timeout_ms, error, error_bytes);
    struct candidates known = {0};
    bool good = add_glob(&known, host, "subjects", timeout_ms, error, error_bytes) &&
                add_glob(&known, host, "controls", timeout_ms, error, error_bytes);
    size_t before = candidates->count;
    for (size_t i = 0; good && i < known.count; i++) {
        const struct case_variant *is = &known.list[i].variant.is;
        if (strcmp(is->name, name) == 0 || strcmp(is->library, name) == 0)
            *candidate_add(candidates) = known.list[i];
    }
    if (good && candidates->count == before) {
        say_unknown(&known, name, error, error_bytes);
        good = false;
    }
    candidates_free(&known);
    return good;
}

void candidates_free(struct candidates *candidates)
{
    free(candidates->list);
}

void candidate_describe(const struct candidate *candidate, struct subject_result *result)
{
    const struct case_variant *is = &candidate->variant.is;
    *result = (struct subject_result){0};
    (void)snprintf(result->name, sizeof result->name, "%s", is->name);
    (void)snprintf(result->library, sizeof result->library, "%s", is->library);
    (void)snprintf(result->version, sizeof result->version, "%s", is->version);
    (void)snprintf(result->path, sizeof result->path, "%.*s", (int)sizeof result->path - 1,
                   candidate->variant.path);
    result->is_program = candidate->variant.is_program;
    result->claims = calloc(is->claims_count + 1, sizeof *result->claims);
    for (size_t i = 0; result->claims != NULL && i < is->claims_count; i++)
        result->claims[i] = strdup(is->claims[i]);
}

size_t skipped_read(const struct host *host, struct skipped_subject **skipped)
{
    char path[PATH_MAX + 32], *line = NULL;
    size_t line_bytes = 0, count = 0;
    *skipped = NULL;
    (void)snprintf(path, sizeof path, "%s/subjects/skipped.txt", host->directory);
    FILE *file = fopen(path, "re");
    while (file != NULL && getline(&line, &line_bytes, file) > 0) {
        char *colon = strchr(line, ':');
        if (colon == NULL)
            continue;
        struct skipped_subject *more = realloc(*skipped, (count + 1) * sizeof *more);
        if (more == NULL)
            abort();
        *skipped = more;
        *colon = '\0';
        (void)snprintf(more[count].name, sizeof more[count].name, "%s", line);
        const char *reason = colon + 1 + strspn(colon + 1, " ");
        (void)snprintf(more[count].reason, sizeof more[count].reason, "%.*s",
                       (int)strcspn(reason, "\n"), reason);
        count++;
    }
    free(line);
    if (file != NULL)
        (void)fclose(file);
    return count;
}

bool catalog_list(struct catalog_entry **entries, size_t *count, struct skipped_subject **skipped,
                  size_t *skipped_count, char *error, size_t error_bytes)
{
    static struct host host;
    struct candidates all = {0};
    if (!host_open(&host, error, error_bytes) ||
        !candidates_add_all(&all, &host, DEFAULT_TIMEOUT_MS, error, error_bytes))
        return false;
    *count = all.count;
    *entries = calloc(all.count + 1, sizeof **entries);
    for (size_t i = 0; *entries != NULL && i < all.count; i++) {
        candidate_describe(&all.list[i], &(*entries)[i].subject);
        (*entries)[i].flags = all.list[i].variant.is.flags;
        (*entries)[i].entries = all.list[i].variant.is.entries;
    }
    *skipped_count = skipped_read(&host, skipped);
    candidates_free(&all);
    host_close(&host);
    return *entries != NULL;
}
