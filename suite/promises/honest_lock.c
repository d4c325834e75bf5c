/* SPDX-License-Identifier: MIT */
/* honest-lock: where memory cannot be locked, alloc fails; weaker memory is never handed out. */
#include "suite/judge.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define LIMITED "limit 8*page\n"
#define LIVE_SECRET "alloc s0 n\nfill s0\n"
#define ANOTHER                                                         \
    "alloc s1 n\nlook s1\nwalk s1 after page\nresize s0 2*n\nlook s0\n" \
    "alloc-aligned s2 n 64\nlook s2\nheal\ncheck s0\nlook s0\n"

static void plan(struct plan *p)
{
    plan_sweep_as(p, "limit-0",
                  LIMITED "limit 0\nopen\nalloc s0 n\nlook s0\nalloc s1 n\nlook s1\n");
    plan_part_as(p, "limit-lowered",
                 LIMITED "open\n" LIVE_SECRET
                         "alloc s1 n\nlook s1\nalloc s2 n\nlook s2\nalloc s3 n\nlook s3\n"
                         "limit 0\nalloc s4 n\nlook s4\nalloc s5 n\nlook s5\n"
                         "check s0\nlook s0\n");
    plan_sweep_as(p, "mlock-ENOMEM", "open\n" LIVE_SECRET "fail lock 1 ENOMEM on\n" ANOTHER);
    plan_part_as(p, "mlock-EPERM-from-open",
                 LIMITED "fail lock 1 EPERM on\nopen\nalloc s0 n\nlook s0\n");
    plan_part_as(p, "mlock-EAGAIN-once", "open\n" LIVE_SECRET "fail lock 1 EAGAIN\n" ANOTHER);
    plan_part_as(p, "mprotect-ENOMEM", "open\n" LIVE_SECRET "fail mprotect 1 ENOMEM on\n" ANOTHER);
    plan_part_as(p, "madvise-EINVAL", "open\n" LIVE_SECRET "fail madvise 1 EINVAL on\n" ANOTHER);
}

static bool guarded(const struct seen *walk)
{
    return walk->event.outcome == MODEL_TRAPPED && walk->event.code == SEGV_ACCERR;
}

/* A secret handed out while protection calls failed must have its guard, if one is claimed. */
static enum finding guard_lost(const struct case_run *run, struct evidence *evidence)
{
    const struct seen *walk = last_operation(run, MODEL_WALK);
    if (walk == NULL || walk->event.outcome == MODEL_SKIPPED)
        return FINDING_KEPT;
    note_number(evidence, "unguarded_sum", !guarded(walk));
    if (guarded(walk) || !variant_claims(run->variant, "guard-after"))
        return FINDING_KEPT;
    say(evidence, "a secret was handed out without the guard that is claimed");
    return FINDING_BROKEN;
}

static bool fault_was_felt(const struct case_run *run)
{
    size_t at = 0;
    const struct seen *fault = next_seen(run, SEEN_FAULT, &at);
    if (fault == NULL)
        return false;
    at = 0;
    for (const struct seen *seen; (seen = next_seen(run, SEEN_OPERATION, &at)) != NULL;)
        if (seen->event.outcome == MODEL_REFUSED && seen->op_index >= fault->op_index)
            return true;
    return false;
}

static bool fault_was_skipped(const struct case_run *run)
{
    const struct seen *fail = last_operation(run, MODEL_FAIL);
    return fail != NULL && fail->event.outcome != MODEL_OK;
}

/* Where nothing may be locked at all, nothing can be taken away. */
static bool no_limit_to_lower(const struct case_run *run)
{
    size_t at = 0;
    const struct seen *first = next_seen(run, SEEN_OPERATION, &at);
    return first != NULL && first->operation.code == MODEL_LIMIT && first->event.size_bytes == 0;
}

/* A secret that was there before the trouble: else there was nothing to survive. */
static bool first_was_refused(const struct case_run *run)
{
    return strncmp(run->label, "limit-0", 7) != 0 && strstr(run->label, "from-open") == NULL &&
           last_operation(run, MODEL_FILL) != NULL &&
           last_operation(run, MODEL_FILL)->event.outcome == MODEL_SKIPPED;
}

static enum finding judge(const struct case_run *run, struct evidence *evidence)
{
    if (fault_was_skipped(run)) {
        say(evidence, "system calls could not be made to fail");
        return FINDING_UNSEEN;
    }
    if (no_limit_to_lower(run) || first_was_refused(run)) {
        if (!refused(run, evidence))
            say(evidence, "RLIMIT_MEMLOCK is 0 from the start");
        return FINDING_REFUSED;
    }
    note_number(evidence, "faults_felt_sum", fault_was_felt(run));
    enum finding finding = guard_lost(run, evidence);
    if (finding == FINDING_KEPT)
        finding = locks_kept(run, evidence);
    if (finding == FINDING_KEPT)
        finding = contents_kept(run, evidence);
    if (finding == FINDING_KEPT)
        say(evidence, "locked memory, or a refusal; live secrets untouched");
    return finding;
}

/* The faults reach a correct allocator, which must have refused when they struck; and a missing guard
 * is seen to be missing. */
static bool controls(const struct evidence *positive, const struct evidence *negative, char *why,
                     size_t why_bytes)
{
    if (noted(negative, "faults_felt_sum", 0) == 0)
        (void)snprintf(why, why_bytes, "no injected fault reached the control that must refuse");
    else if (noted(positive, "unguarded_sum", 0) == 0)
        (void)snprintf(why, why_bytes, "guards were seen on the control that has none");
    else
        return true;
    return false;
}

const struct promise promise_honest_lock = {
    .id = "honest-lock",
    .level = PROMISE_CORE,
    .statement = "Where memory cannot be locked (or guarded, as claimed), for whatever reason the "
                 "kernel gives, alloc fails with errno; live secrets survive the failure.",
    .observed =
        "RLIMIT_MEMLOCK of 0, lowered under way, and mlock, mprotect and madvise made to fail "
        "with ENOMEM, EPERM, EAGAIN or EINVAL, without capabilities. Whatever alloc then "
        "hands out must be locked on every page and have its claimed guard; secrets from "
        "before must be whole and locked.",
    .in_practice = "mlock's result ignored, so that at the limit secrets live in swappable memory "
                   "and nobody is told; a fallback to plain malloc; a warning once.",
    .observers = OBSERVE_LOCKS | OBSERVE_LIMIT | OBSERVE_FAULTS | OBSERVE_MEMORY | OBSERVE_TRAPS,
    .plan = plan,
    .judge = judge,
    .control_partly = true,
    .controls = controls,
};
