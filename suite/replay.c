/* SPDX-License-Identifier: MIT */
/* replay.c: one program on one subject, told operation by operation. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "suite/catalog.h"
#include "suite/judge.h"

#define PROGRAM_BYTES_MAX ((size_t)1 << 20)

/* Is this what somebody typed, right or wrong? UTF-8 throughout, and of what cannot be printed only blanks. */
static bool is_typed(const char *bytes, size_t count)
{
    json_t *valid = json_stringn(bytes, count); /* NULL: not UTF-8 */
    bool typed = valid != NULL;
    json_decref(valid);
    for (size_t i = 0; i < count && typed; i++) {
        unsigned char c = (unsigned char)bytes[i];
        typed = (c >= ' ' && c != 0x7f) || (c >= '\t' && c <= '\r');
    }
    return typed;
}

/* Any bytes are a program, so only what nobody can have typed is taken for bytes: else a slip in the first
 * line of a text, or another file altogether, would pass for a program that does something else. */
static bool is_text(const char *bytes, size_t count)
{
    static const char head[] = "strongroom program";
    if (count >= 3 && memcmp(bytes, "SRP", 3) == 0)
        return false;
    return strncmp(bytes, head, sizeof head - 1) == 0 || is_typed(bytes, count);
}

/* Reads a program in either form. */
static bool program_read(const char *path, struct model_program *program, char *error,
                         size_t error_bytes)
{
    FILE *file = fopen(path, "re");
    char *bytes = calloc(1, PROGRAM_BYTES_MAX + 1);
    bool good = file != NULL && bytes != NULL;
    if (!good)
        (void)snprintf(error, error_bytes, "%s: %s", path, strerror(errno));
    size_t count = good ? fread(bytes, 1, PROGRAM_BYTES_MAX, file) : 0;
    if (good && ferror(file)) {
        (void)snprintf(error, error_bytes, "%s: %s", path, strerror(errno));
        good = false;
    } else if (good && !is_text(bytes, count)) {
        model_program_decode(program, (const uint8_t *)bytes, count);
    } else if (good) {
        char why[160];
        good = strlen(bytes) == count && model_program_parse(program, bytes, NULL, why, sizeof why);
        if (!good)
            (void)snprintf(error, error_bytes, "%s: %s", path,
                           strlen(bytes) == count ? why
                                                  : "a program's text, with a zero byte in it");
    }
    if (file != NULL)
        (void)fclose(file);
    free(bytes);
    return good;
}

static void print_outcome(const struct model_event *event)
{
    switch ((enum model_outcome)event->outcome) {
    case MODEL_OK:
        (void)printf("ok");
        break;
    case MODEL_REFUSED:
        (void)printf("refused: %s", strerrorname_np(event->error));
        break;
    case MODEL_SKIPPED:
        (void)printf("skipped");
        break;
    case MODEL_TRAPPED:
        (void)printf("trapped: SIG%s at 0x%" PRIx64, sigabbrev_np(event->signal),
                     event->trap_address);
        break;
    case MODEL_DIED:
        (void)printf("died: %s%s", event->signal != 0 ? "SIG" : "",
                     event->signal != 0 ? sigabbrev_np(event->signal) : event->message);
        break;
    }
    if (event->address != 0)
        (void)printf("  0x%" PRIx64 " +%" PRIu64, event->address, event->size_bytes);
    if (event->distance_bytes != 0)
        (void)printf("  distance %" PRIu64, event->distance_bytes);
    if (event->count != 0)
        (void)printf("  count %" PRIu64, event->count);
}

static void print_bytes(const struct seen_bytes *bytes)
{
    (void)printf("%s: %" PRIu64 " of %" PRIu64 " bytes readable at 0x%" PRIx64
                 ", runs of 8 secret bytes: %" PRIu64 " dead, %" PRIu64 " live",
                 bytes->where, bytes->readable_bytes, bytes->size_bytes, bytes->address,
                 bytes->dead_windows, bytes->live_windows);
    if (bytes->place_bytes != 0)
        (void)printf("; %" PRIu64 " of %" PRIu64 " bytes of the place not zero",
                     bytes->place_nonzero, bytes->place_bytes);
}

static void print_seen(const struct seen *seen)
{
    char operation[96];
    switch (seen->kind) {
    case SEEN_OPERATION:
        (void)printf("%3" PRIu32 "  %-32s ", seen->op_index,
                     model_operation_print(&seen->operation, operation, sizeof operation));
        print_outcome(&seen->event);
        if (seen->locked_bytes != UINT64_MAX)
            (void)printf("  VmLck %" PRIu64, seen->locked_bytes);
        break;
    case SEEN_RELEASE:
    case SEEN_BYTES:
    case SEEN_CHILD:
    case SEEN_RESIDUE:
    case SEEN_OUTSIDE:
    case SEEN_SWAP:
    case SEEN_CORE:
        (void)printf("       %s", seen->kind == SEEN_RELEASE ? "given to " : "after ");
        print_bytes(&seen->bytes);
        break;
    case SEEN_LOCKS:
        (void)printf("       %" PRIu64 " of %" PRIu64
                     " pages locked, MADV_PAGEOUT refused on %" PRIu64 "%s%s",
                     seen->locks.lo_pages, seen->locks.pages, seen->pageout_pages,
                     seen->locks.map[0] != '\0' ? ": " : "", seen->locks.map);
        break;
    case SEEN_VIOLATION:
        (void)printf("       breaks %s: %s", seen->promise, seen->text);
        break;
    case SEEN_CHECK:
    case SEEN_FAULT:
    case SEEN_SIGNAL:
        (void)printf("       %s", seen->text);
        break;
    }
    (void)printf("\n");
}

static const char *const endings[] = {[ENDED_FINISHED] = "ran to its end",
                                      [ENDED_EXITED] = "the process exited",
                                      [ENDED_KILLED] = "the process was killed by a signal",
                                      [ENDED_LOST] = "the subject closed the harness's descriptors",
                                      [ENDED_HUNG] = "hung",
                                      [ENDED_REFUSED] = "refused",
                                      [ENDED_FAILED] = "the harness failed"};

static int print_run(const struct case_run *run)
{
    bool broken = run->ending != ENDED_FINISHED;
    for (size_t i = 0; i < run->count; i++) {
        print_seen(&run->seen[i]);
        broken |= run->seen[i].kind == SEEN_VIOLATION ||
                  (run->seen[i].kind == SEEN_OPERATION && run->seen[i].event.outcome == MODEL_DIED);
    }
    (void)printf("%s%s%s%s%s\n", endings[run->ending], run->ending != ENDED_FINISHED ? " in `" : "",
                 run->ending != ENDED_FINISHED ? run->operation : "",
                 run->ending != ENDED_FINISHED ? "` " : "", run->text);
    return broken ? 1 : 0;
}

bool replay_print(const char *program_path, char *error, size_t error_bytes)
{
    static struct model_program program;
    static char text[PROGRAM_BYTES_MAX];
    if (!program_read(program_path, &program, error, error_bytes))
        return false;
    (void)model_program_print(&program, text, sizeof text);
    (void)fputs(text, stdout);
    return true;
}

/* "a, b": the names of all variants, as far as there is room for them. */
static const char *names_of(const struct candidates *candidates, char *out, size_t out_bytes)
{
    size_t length = 0;
    out[0] = '\0';
    for (size_t i = 0; i < candidates->count && length < out_bytes; i++)
        length += (size_t)snprintf(out + length, out_bytes - length, "%s%s", i == 0 ? "" : ", ",
                                   candidates->list[i].variant.is.name);
    return out;
}

/* The one that is asked for. NULL: error says why. One that died before it could say its names is what there is. */
static const struct candidate *variant_of(const struct candidates *candidates, const char *subject,
                                          const char *name, char *error, size_t error_bytes)
{
    char names[512];
    if (candidates->count == 1 && (name == NULL || candidates->list[0].dead))
        return &candidates->list[0];
    (void)names_of(candidates, names, sizeof names);
    for (size_t i = 0; i < candidates->count && name != NULL; i++)
        if (strcmp(candidates->list[i].variant.is.name, name) == 0)
            return &candidates->list[i];
    if (name == NULL)
        (void)snprintf(error, error_bytes,
                       "'%s' stands for %zu variants; name one of them by --variant: %s", subject,
                       candidates->count, names);
    else
        (void)snprintf(error, error_bytes, "'%s' has no variant '%s', only %s", subject, name,
                       names);
    return NULL;
}

int replay(const char *program_path, const char *subject, const char *variant,
           const struct run_settings *settings, char *error, size_t error_bytes)
{
    static struct host host;
    static struct model_program program;
    struct candidates candidates = {0};
    unsigned timeout_ms = settings->timeout_ms != 0 ? settings->timeout_ms : DEFAULT_TIMEOUT_MS;
    if (!program_read(program_path, &program, error, error_bytes) ||
        !host_open(&host, error, error_bytes))
        return 2;
    int status = 2;
    const struct candidate *chosen = NULL;
    if (candidates_add(&candidates, &host, subject, timeout_ms, error, error_bytes))
        chosen = variant_of(&candidates, subject, variant, error, error_bytes);
    if (chosen != NULL) {
        struct case_order order = {.variant = &chosen->variant,
                                   .program = &program,
                                   .label = "replay",
                                   .observers = OBSERVE_RELEASES | OBSERVE_MEMORY | OBSERVE_LOCKS,
                                   .timeout_ms = timeout_ms,
                                   .verbose = true};
        struct case_run run;
        supervise(&host, &order, &run);
        if (run.ending == ENDED_FAILED)
            (void)snprintf(error, error_bytes, "%s", run.text);
        else
            status = print_run(&run);
        case_run_free(&run);
    }
    candidates_free(&candidates);
    host_close(&host);
    return status;
}
