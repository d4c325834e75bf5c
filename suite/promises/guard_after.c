/* SPDX-License-Identifier: MIT */
/* guard-after: touching past the end of a secret traps. */
#include <stdalign.h>

#include "suite/guard.h"

static void plan(struct plan *p)
{
    guard_plan(p, "after");
}

/* The slack that alignment forces: from n to n rounded up. */
static uint64_t slack_bytes(const struct case_run *run, const struct model_event *walk,
                            bool aligned)
{
    uint64_t align = run->variant->is.min_align;
    if (align == 0)
        align = alignof(max_align_t);
    if (aligned && align < GUARD_ALIGN_BYTES)
        align = GUARD_ALIGN_BYTES;
    return (align - walk->size_bytes % align) % align;
}

static enum finding judge(const struct case_run *run, struct evidence *evidence)
{
    return guard_judge(run, slack_bytes, evidence);
}

const struct promise promise_guard_after = {
    .id = "guard-after",
    .level = PROMISE_HARDENING,
    .statement = "Touching the first byte past a secret, its size rounded up to the claimed "
                 "alignment, traps.",
    .observed =
        "From the end of the middle one of three secrets bytes are read outward until the "
        "first trap, up to 16 pages. It counts if it is a guard (SEGV_ACCERR), not the "
        "absence of a neighbour (SEGV_MAPERR). The distance is reported. Where that is offered "
        "it is also made read-only and writable again, grown and shrunk, and one is asked "
        "for with an alignment; then it is freed and allocated anew, and the others freed.",
    .in_practice =
        "The secret at the start of its pages, so that an overrun has the rest of the "
        "last page to itself; a guard inside the padding; a guard that can be read; pools "
        "without guards between slots.",
    .observers = OBSERVE_TRAPS,
    .plan = plan,
    .judge = judge,
};
