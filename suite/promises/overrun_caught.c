/* SPDX-License-Identifier: MIT */
/* overrun-caught: an overwrite past the end that does not trap is caught at free. */
#include "suite/overwrite.h"

static void plan(struct plan *p)
{
    overwrite_plan(p, "after");
}

const struct promise promise_overrun_caught = {
    .id = "overrun-caught",
    .level = PROMISE_HARDENING,
    .statement = "An overwrite past the end of a secret traps, or is caught when that secret is "
                 "freed.",
    .observed =
        "The bytes past the middle one of three secrets are inverted: 1 byte at every size, "
        "then 2, 16, and up to a page. Either a guard traps (SEGV_ACCERR), or the free that "
        "follows must end the program, by `fatal` or a signal. Bytes that `usable` says are "
        "the program's do not count. How many bytes it took is reported.",
    .in_practice =
        "No canary where the size is a multiple of the alignment; a canary whose first "
        "byte, or whose last ones, are not compared; one that is compared after the free "
        "has changed something; one read for large secrets only.",
    .observers = OBSERVE_TRAPS,
    .plan = plan,
    .judge = overwrite_judge,
    .deadly = true,
};
