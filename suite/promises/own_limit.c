/* SPDX-License-Identifier: MIT */
/* own-limit: the lock limit is kept even where the kernel does not enforce it. */
#include "suite/judge.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void plan(struct plan *p)
{
    plan_sweep(p, "privileged\nlimit 4*page\nopen\ncrowd n full\ncrowd-free first\n");
    plan_part_as(p, "grown",
                 "privileged\nlimit 4*page\nopen\nalloc s0 n\nresize s0 5*page\ncrowd n full\n");
    plan_part_as(p, "aligned",
                 "privileged\nlimit 4*page\nopen\nalloc-aligned s0 5*page 64\ncrowd n full\n");
    plan_part_as(p, "lowered",
                 "privileged\nlimit 64*page\nopen\nalloc s0 n\nlimit 4*page\ncrowd n full\n");
}

/* The limit was lowered under a living secret: no more may be locked than it allows, or than already
 * was. */
static enum finding judge_lowered(const struct case_run *run, uint64_t locked, uint64_t allowed,
                                  struct evidence *evidence)
{
    const struct seen *first = last_operation(run, MODEL_ALLOC);
    if (first == NULL || first->event.outcome != MODEL_OK) {
        (void)refused(run, evidence);
        return FINDING_REFUSED;
    }
    uint64_t before = first->locked_bytes - run->baseline_locked_bytes;
    if (locked <= allowed || locked <= before) {
        say(evidence, "follows a limit that is lowered");
        return FINDING_KEPT;
    }
    say(evidence,
        "the limit was lowered to %" PRIu64 " bytes, and with CAP_IPC_LOCK the locked ones rose "
        "from %" PRIu64 " to %" PRIu64,
        allowed, before, locked);
    return FINDING_BROKEN;
}

static enum finding judge(const struct case_run *run, struct evidence *evidence)
{
    const struct seen *limit = last_operation(run, MODEL_LIMIT);
    const struct seen *crowd = last_operation(run, MODEL_CROWD);
    if (crowd == NULL || limit == NULL || crowd->event.outcome == MODEL_SKIPPED) {
        (void)refused(run, evidence);
        return FINDING_REFUSED;
    }
    uint64_t allowed = limit->event.size_bytes;
    uint64_t locked = crowd->locked_bytes - run->baseline_locked_bytes;
    uint64_t live = crowd->event.count * crowd->event.size_bytes;
    note_number(evidence, "limit_bytes_max", allowed);
    note_number(evidence, "vmlck_bytes_max", locked);
    if (strncmp(run->label, "lowered", 7) == 0)
        return judge_lowered(run, locked, allowed, evidence);
    if (locked > allowed || live > allowed) {
        say(evidence,
            "under a limit of %" PRIu64 " bytes, with CAP_IPC_LOCK, %" PRIu64
            " bytes of secrets were handed out and %" PRIu64 " locked",
            allowed, live, locked);
        return FINDING_BROKEN;
    }
    if (crowd->event.error == 0) {
        say(evidence, "never came to the limit");
        return FINDING_UNSEEN;
    }
    if (crowd->event.count == 0) {
        say(evidence, "one alone does not fit under a limit of %" PRIu64 " bytes", allowed);
        return FINDING_REFUSED;
    }
    say(evidence, "keeps to RLIMIT_MEMLOCK by its own count");
    return FINDING_KEPT;
}

static bool controls(const struct evidence *positive, const struct evidence *negative, char *why,
                     size_t why_bytes)
{
    (void)positive;
    if (noted(negative, "vmlck_bytes_max", 0) > 0)
        return true;
    (void)snprintf(why, why_bytes, "VmLck was not seen to rise on the control that locks");
    return false;
}

const struct promise promise_own_limit = {
    .id = "own-limit",
    .level = PROMISE_HARDENING,
    .statement =
        "Alloc says no at RLIMIT_MEMLOCK even with CAP_IPC_LOCK, where the kernel no longer "
        "does.",
    .observed =
        "The case keeps CAP_IPC_LOCK and nothing else. Under a limit of 4 pages secrets of "
        "each size are allocated until alloc says no; VmLck must not pass the limit, also where one is "
        "resized to more or asked for with an alignment. Nor may "
        "it rise past a limit that is lowered while a secret lives.",
    .in_practice =
        "A service that runs as root, or in a privileged container, locks without bound: "
        "a leak of secrets becomes a machine without memory. Few libraries promise more.",
    .observers = OBSERVE_LOCKS | OBSERVE_IPC_LOCK,
    .plan = plan,
    .judge = judge,
    .control_partly = true,
    .controls = controls,
};
