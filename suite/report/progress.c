/* SPDX-License-Identifier: MIT */
/* progress.c: what runs now: a line rewritten on a terminal, a plain line now and then elsewhere. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "report.h"

#define QUIET_S 2.0 /* a run shorter than this says nothing where nobody watches */
#define EVERY_S 5.0

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

struct progress progress_begin(void)
{
    const char *term = getenv("TERM");
    double now = now_s();

    return (struct progress){
        .to = terminal_on(stderr, false),
        .rewrites = isatty(STDERR_FILENO) && term != NULL && strcmp(term, "dumb") != 0,
        .began_s = now,
        .last_s = now + QUIET_S - EVERY_S,
    };
}

void progress_show(void *arg, size_t done, size_t all, const char *subject, const char *promise)
{
    struct progress *progress = arg;
    char line[256];

    snprintf(line, sizeof line, "running %zu of %zu: %s %s", done, all, subject, promise);
    if (progress->rewrites) {
        fprintf(stderr, "\r\033[K%.*s", (int)progress->to.width - 1, line);
        progress->shown = true;
        return;
    }
    double now = now_s();
    if (now - progress->last_s >= EVERY_S) {
        fprintf(stderr, "%s\n", line);
        progress->last_s = now;
    }
}

void progress_end(struct progress *progress)
{
    if (progress->shown)
        fputs("\r\033[K", stderr);
    progress->shown = false;
}
