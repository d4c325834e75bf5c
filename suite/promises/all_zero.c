/* SPDX-License-Identifier: MIT */
/* all-zero: what was freed is strictly zero, not merely without the secret. */
#include "suite/freed.h"

static enum finding judge(const struct case_run *run, struct evidence *evidence)
{
    if (refused(run, evidence))
        return FINDING_REFUSED;
    enum finding finding = freed_nonzero(run, evidence);
    if (finding == FINDING_KEPT)
        finding = freed_looked_at(run, evidence);
    if (finding == FINDING_KEPT)
        say(evidence, "every byte of the place is zero");
    return finding;
}

const struct promise promise_all_zero = {
    .id = "all-zero",
    .level = PROMISE_HARDENING,
    .statement = "Every byte of a freed secret's place, to its usable size, is zero when free "
                 "returns or, where the memory is given back, at that moment.",
    .observed = "As zero-on-free, with the same programs; but every byte counts that is not zero.",
    .in_practice =
        "Free-list pointers or fill patterns written over the wiped bytes: harmless in "
        "themselves, yet whoever looks at such memory cannot tell them from a leak. Wiping "
        "in words and leaving out the odd bytes at the end.",
    .observers = OBSERVE_RELEASES | OBSERVE_MEMORY,
    .plan = freed_plan,
    .judge = judge,
};
