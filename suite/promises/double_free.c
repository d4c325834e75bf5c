/* SPDX-License-Identifier: MIT */
/* double-free: a second free is caught before anything is changed. */
#include "suite/judge.h"

#include <inttypes.h>
#include <string.h>

#define THREE "open\nalloc s0 n\nalloc s1 n\nalloc s2 n\nfill s0\nfill s1\nfill s2\n"

static void plan(struct plan *p)
{
    plan_sweep_as(p, "at-once", THREE "free s1\nmisuse s1 double-free\n");
    plan_sweep_as(p, "another-between",
                  THREE "alloc s3 n\nfill s3\nfree s1\nfree s3\nmisuse s1 double-free\n");
}

static enum finding judge(const struct case_run *run, struct evidence *evidence)
{
    const struct seen *misuse = last_operation(run, MODEL_MISUSE);
    if (refused(run, evidence))
        return FINDING_REFUSED;
    if (misuse == NULL || misuse->event.outcome == MODEL_SKIPPED) {
        say(evidence, "the second free could not be tried");
        return FINDING_UNSEEN;
    }
    note_address(evidence, "freed_twice", misuse->event.old_address);
    if (misuse->event.outcome != MODEL_DIED) {
        say(evidence, "a second free of 0x%" PRIx64 " returned as if nothing were wrong",
            misuse->event.old_address);
        return FINDING_BROKEN;
    }
    note_text(evidence, "caught_by",
              misuse->event.message[0] != '\0' ? misuse->event.message
              : misuse->event.signal != 0      ? sigabbrev_np(misuse->event.signal)
                                               : "fatal");
    enum finding finding = contents_kept(run, evidence);
    if (finding == FINDING_KEPT)
        say(evidence, "caught, and the other secrets are whole");
    return finding;
}

const struct promise promise_double_free = {
    .id = "double-free",
    .level = PROMISE_HARDENING,
    .statement = "A second free of the same secret is caught before anything is changed.",
    .observed = "The second free is made in the acting process itself, at once and with another "
                "free in between. It must end the program, by `fatal` or a signal; the other live "
                "secrets are then compared from outside.",
    .in_practice =
        "Free lists that take a block twice and hand it out twice; a check that only "
        "knows the block freed last; a check made after the block was wiped or relinked.",
    .observers = OBSERVE_TRAPS | OBSERVE_MEMORY,
    .plan = plan,
    .judge = judge,
};
