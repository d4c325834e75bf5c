/* SPDX-License-Identifier: MIT */
/* guard.c: the walk outward from the middle one of three secrets. */
#include "suite/guard.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

#define ALIGNED_SLOT 3u

/* What is read on the way belongs to others; reading does not harm it. */
void guard_plan(struct plan *p, const char *side)
{
    char text[512];
    (void)snprintf(text, sizeof text,
                   "open\n"
                   "alloc s0 n\nalloc s1 n\nalloc s2 n\n"
                   "fill s0\nfill s1\nfill s2\n"
                   "touch s1 inside read 0\ntouch s1 inside read n-1\n"
                   "walk s1 %s 16*page\n" /* and where offered: */
                   "protect s1 read\nprotect s1 read-write\nwalk s1 %s 16*page\n"
                   "resize s1 2*n\nwalk s1 %s 16*page\n"
                   "resize s1 n\nwalk s1 %s 16*page\n"
                   "alloc-aligned s3 n " GUARD_ALIGN_TEXT "\nwalk s3 %s 16*page\n"
                   /* where a place is used again, and where a neighbour is gone */
                   "free s1\nalloc s1 n\nwalk s1 %s 16*page\n"
                   "free s2\nfree s0\nwalk s1 %s 16*page\n",
                   side, side, side, side, side, side, side);
    plan_sweep(p, text);
}

bool guard_trapped(const struct model_event *event)
{
    return event->outcome == MODEL_TRAPPED && event->signal == SIGSEGV &&
           event->code == SEGV_ACCERR;
}

static bool inside_is_readable(const struct case_run *run)
{
    size_t at = 0;
    for (const struct seen *seen; (seen = next_seen(run, SEEN_OPERATION, &at)) != NULL;)
        if (seen->operation.code == MODEL_TOUCH && seen->event.outcome != MODEL_OK)
            return false;
    return true;
}

static void note_walk(const struct model_event *event, struct evidence *evidence)
{
    note_number(evidence, "distance_bytes_min", event->distance_bytes);
    note_number(evidence, "distance_bytes_max", event->distance_bytes);
    note_address(evidence, "secret", event->address);
    note_number(evidence, "size_bytes", event->size_bytes);
    if (event->outcome == MODEL_TRAPPED) {
        note_address(evidence, "trap_address", event->trap_address);
        note_text(evidence, "trap",
                  event->code == SEGV_ACCERR   ? "SEGV_ACCERR"
                  : event->code == SEGV_MAPERR ? "SEGV_MAPERR"
                                               : "other");
    }
}

static enum finding judge_walk(const struct model_event *event, uint64_t distance_max_bytes,
                               struct evidence *evidence)
{
    if (guard_trapped(event) && event->distance_bytes <= distance_max_bytes)
        return FINDING_KEPT;
    note_walk(event, evidence);
    if (event->outcome != MODEL_TRAPPED)
        say(evidence, "no trap within %" PRIu64 " bytes past the end", event->distance_bytes);
    else if (!guard_trapped(event))
        say(evidence,
            "the trap at distance %" PRIu64 " is no guard: nothing is mapped there, by luck of the "
            "layout",
            event->distance_bytes);
    else
        say(evidence,
            "the guard is %" PRIu64 " bytes past the end; at most %" PRIu64 " are allowed",
            event->distance_bytes, distance_max_bytes);
    return FINDING_BROKEN;
}

enum finding guard_judge(const struct case_run *run, guard_distance *distance_max_bytes,
                         struct evidence *evidence)
{
    uint64_t first_max_bytes = 0;
    unsigned walks = 0;
    size_t at = 0;
    if (refused(run, evidence))
        return FINDING_REFUSED;
    for (const struct seen *walk; (walk = next_seen(run, SEEN_OPERATION, &at)) != NULL;) {
        const struct model_event *event = &walk->event;
        if (walk->operation.code != MODEL_WALK || event->outcome == MODEL_SKIPPED ||
            !inside_is_readable(run))
            continue;
        uint64_t max_bytes = distance_max_bytes(run, event, walk->operation.slot == ALIGNED_SLOT);
        if (walks++ == 0) { /* the distance that is reported is that of a secret as alloc gave it */
            note_walk(event, evidence);
            first_max_bytes = max_bytes;
        }
        if (judge_walk(event, max_bytes, evidence) != FINDING_KEPT)
            return FINDING_BROKEN;
    }
    if (walks == 0) {
        say(evidence, "a live secret could not be read, so a trap past its end proves nothing");
        return FINDING_UNSEEN;
    }
    say(evidence, "a guard traps within %" PRIu64 " bytes", first_max_bytes + 1);
    return FINDING_KEPT;
}
