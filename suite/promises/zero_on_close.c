/* SPDX-License-Identifier: MIT */
/* zero-on-close: nothing of any secret is left after close, even with secrets still alive. */
#include "suite/freed.h"

#include <inttypes.h>
#include <stdio.h>

#define ALIVE                                                            \
    "open\nalloc s0 n\nalloc s1 n\nalloc s2 n\nalloc s3 n\nalloc s4 n\n" \
    "fill s0 usable\nfill s1 usable\nfill s2 usable\nfill s3 usable\nfill s4 usable\nfree s4\n"

static void plan(struct plan *p)
{
    /* also what came by another way, where it is offered */
    plan_sweep_as(p, "alive",
                  ALIVE "alloc-aligned s5 n 64\nfill s5 usable\nresize s0 2*n\nclose\n");
    plan_part_as(p, "inaccessible",
                 ALIVE
                 "protect s0 none\nprotect s1 none\nprotect s2 read\nprotect s3 none\nclose\n");
}

/* The first look during close at which windows were found. */
static const struct seen *left(const struct case_run *run, uint32_t close_index)
{
    for (size_t i = 0; i < run->count; i++) {
        const struct seen *seen = &run->seen[i];
        if (seen->op_index == close_index && seen->bytes.dead_windows > 0 &&
            (seen->kind == SEEN_BYTES || seen->kind == SEEN_RELEASE))
            return seen;
    }
    return NULL;
}

static bool short_left(const struct case_run *run, uint32_t close_index, unsigned slot)
{
    for (size_t i = 0; i < run->count; i++)
        if (run->seen[i].op_index == close_index && run->seen[i].bytes.short_whole &&
            run->seen[i].bytes.slot == slot)
            return true;
    return false;
}

static bool shorts_left(const struct case_run *run, uint32_t close_index)
{
    unsigned whole = 0;
    for (unsigned slot = 0; slot < 4; slot++)
        whole += short_left(run, close_index, slot);
    return whole == 4;
}

static enum finding all_seen(const struct case_run *run, const struct seen *close,
                             struct evidence *evidence)
{
    size_t at = 0;
    for (const struct seen *seen; (seen = next_seen(run, SEEN_OPERATION, &at)) != NULL;) {
        unsigned slot = seen->operation.slot;
        if (seen->operation.code != MODEL_ALLOC || seen->event.outcome != MODEL_OK || slot == 4 ||
            freed_place_seen(run, close->op_index, slot) >= seen->event.size_bytes)
            continue;
        say(evidence, "memory at 0x%" PRIx64 " was gone after close, and was not seen to go",
            seen->event.address);
        return FINDING_UNSEEN;
    }
    return FINDING_KEPT;
}

static enum finding judge(const struct case_run *run, struct evidence *evidence)
{
    const struct seen *close = last_operation(run, MODEL_CLOSE);
    if (refused(run, evidence))
        return FINDING_REFUSED;
    if (close == NULL || close->event.outcome == MODEL_SKIPPED) {
        say(evidence, "it could not be closed");
        return FINDING_UNSEEN;
    }
    note_number(evidence, "in_place_sum", freed_looks(run, SEEN_BYTES));
    note_number(evidence, "on_the_way_out_sum", freed_looks(run, SEEN_RELEASE));
    const struct seen *first = left(run, close->op_index);
    if (first != NULL) {
        say(evidence, "close%s left runs of 8 secret bytes at 0x%" PRIx64 " (%s %s)",
            close->event.outcome == MODEL_REFUSED ? " said no and" : "", first->bytes.dead_address,
            first->kind == SEEN_RELEASE ? "when given to" : "after", first->bytes.where);
        note_address(evidence, "address", first->bytes.dead_address);
        return FINDING_BROKEN;
    }
    if (shorts_left(run, close->op_index)) {
        say(evidence, "close left every one of 4 short secrets whole");
        return FINDING_BROKEN;
    }
    enum finding finding = all_seen(run, close, evidence);
    if (finding == FINDING_KEPT)
        say(evidence, "nothing of the secrets that were alive is left, in place or on the way out");
    return finding;
}

/* Some bytes stay in place on the control that leaks, others are seen on their way out only. */
static bool controls(const struct evidence *positive, const struct evidence *negative, char *why,
                     size_t why_bytes)
{
    (void)negative;
    if (noted(positive, "in_place_sum", 0) == 0)
        (void)snprintf(why, why_bytes, "what the leaking control leaves in place was not seen");
    else if (noted(positive, "on_the_way_out_sum", 0) == 0)
        (void)snprintf(why, why_bytes, "what the leaking control gives back was not seen to go");
    else
        return true;
    return false;
}

const struct promise promise_zero_on_close = {
    .id = "zero-on-close",
    .level = PROMISE_HARDENING,
    .statement = "Nothing of any secret is left after close, even with secrets still alive.",
    .observed =
        "Four secrets of each size are alive when the allocator is closed, one of them resized, "
        "and one asked for with an alignment where that is offered; in a second kind "
        "of case set to no access and read-only. All memory that close gives back is "
        "searched before it goes, and the places of the secrets when close returns. A close "
        "that says no because secrets are alive has left them.",
    .in_practice =
        "A close that unmaps its pool and trusts each secret to have been freed; an atexit "
        "handler that never runs; a wipe that skips, or crashes on, pages without access.",
    .observers = OBSERVE_RELEASES | OBSERVE_MEMORY,
    .entries = MODEL_ENTRY_CLOSE,
    .plan = plan,
    .judge = judge,
    .controls = controls,
};
