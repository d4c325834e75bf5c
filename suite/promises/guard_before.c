/* SPDX-License-Identifier: MIT */
/* guard-before: touching far before the start of a secret traps. */
#include "suite/guard.h"

static void plan(struct plan *p)
{
    guard_plan(p, "before");
}

static uint64_t page_before(const struct case_run *run, const struct model_event *walk,
                            bool aligned)
{
    (void)walk;
    (void)aligned;
    return run->page_bytes - 1;
}

static enum finding judge(const struct case_run *run, struct evidence *evidence)
{
    return guard_judge(run, page_before, evidence);
}

const struct promise promise_guard_before = {
    .id = "guard-before",
    .level = PROMISE_HARDENING,
    .statement = "Reading backward from a secret traps after at most one page.",
    .observed =
        "From the start of the middle one of three secrets bytes are read downward until "
        "the first trap, up to 16 pages. It counts if it is a guard (SEGV_ACCERR) at most a "
        "page away. The distance is reported.",
    .in_practice = "A guard only after, none before; a header page between guard and secret that "
                   "can be read and written; pools without guards between slots.",
    .observers = OBSERVE_TRAPS,
    .plan = plan,
    .judge = judge,
};
