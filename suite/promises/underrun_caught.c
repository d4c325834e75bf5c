/* SPDX-License-Identifier: MIT */
/* underrun-caught: an overwrite before the start that does not trap is caught at free. */
#include "suite/overwrite.h"

static void plan(struct plan *p)
{
    overwrite_plan(p, "before");
}

const struct promise promise_underrun_caught = {
    .id = "underrun-caught",
    .level = PROMISE_HARDENING,
    .statement =
        "An overwrite before the start of a secret traps, or is caught when that secret is "
        "freed.",
    .observed = "As overrun-caught, outward from the first byte of the secret.",
    .in_practice = "Only the far side is checked; a canary at the start of the page, away from a "
                   "secret that lies at its end; a block header that is overwritten and believed.",
    .observers = OBSERVE_TRAPS,
    .plan = plan,
    .judge = overwrite_judge,
    .deadly = true,
};
