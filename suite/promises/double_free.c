/* SPDX-License-Identifier: MIT */
/* double-free: a second free is caught before anything is changed. */
#include "suite/misuse.h"

static void plan(struct plan *p)
{
    plan_sweep_as(p, "at-once", MISUSE_THREE "free s1\nmisuse s1 double-free\n");
    plan_part_as(p, "another-between",
                 MISUSE_THREE "alloc s3 n\nfill s3\nfree s1\nfree s3\nmisuse s1 double-free\n");
    /* of secrets that came by other ways, where those are offered */
    plan_part_as(p, "aligned",
                 MISUSE_THREE "free s1\nalloc-aligned s1 n 64\nfree s1\nmisuse s1 double-free\n");
    plan_part_as(p, "resized", MISUSE_THREE "resize s1 2*n\nfree s1\nmisuse s1 double-free\n");
    plan_part_as(p, "another-thread", MISUSE_THREE "free s1\nbaton\nmisuse s1 double-free\n");
}

static enum finding judge(const struct case_run *run, struct evidence *evidence)
{
    return misuse_judge(run, "a second free", evidence);
}

const struct promise promise_double_free = {
    .id = "double-free",
    .level = PROMISE_HARDENING,
    .statement = "A second free of the same secret is caught before anything is changed.",
    .observed =
        "The second free is made in the acting process itself, at once, with another "
        "free in between, and by another thread. It must end the program, by `fatal` or a signal; the other live "
        "secrets are then compared from outside.",
    .in_practice =
        "Free lists that take a block twice and hand it out twice; a check that only "
        "knows the block freed last; a check made after the block was wiped or relinked.",
    .observers = OBSERVE_TRAPS | OBSERVE_MEMORY,
    .plan = plan,
    .judge = judge,
};
