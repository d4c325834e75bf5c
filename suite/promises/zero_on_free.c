/* SPDX-License-Identifier: MIT */
/* zero-on-free: nothing of a secret is left when free returns, or when its memory is given back. */
#include "suite/freed.h"

static enum finding judge(const struct case_run *run, struct evidence *evidence)
{
    if (refused(run, evidence))
        return FINDING_REFUSED;
    enum finding finding = freed_leak(run, evidence);
    if (finding == FINDING_KEPT)
        finding = freed_looked_at(run, evidence);
    if (finding == FINDING_KEPT)
        say(evidence, "no 8 consecutive bytes left, in place or on the way out");
    return finding;
}

const struct promise promise_zero_on_free = {
    .id = "zero-on-free",
    .level = PROMISE_CORE,
    .statement = "No 8 consecutive bytes of a secret (all bytes, of a shorter one) remain in its "
                 "place when free returns or, where the memory is given back, at that moment.",
    .observed =
        "Secrets are planted by one read(2), all usable bytes of them, and freed; in cases of "
        "their own such that were resized or asked for with an alignment. At each "
        "munmap, munlock, discarding madvise, mremap, MAP_FIXED mapping, brk and shmdt the "
        "call is stopped and the memory is searched before it goes; when free returns the "
        "place is searched through /proc/PID/mem, which also reads inaccessible pages.",
    .in_practice =
        "No wipe at all; a memset that the compiler removes; a wipe of the requested "
        "length where more was usable, of all but the last bytes, or after munlock; only "
        "small or only large sizes wiped.",
    .observers = OBSERVE_RELEASES | OBSERVE_MEMORY,
    .plan = freed_plan,
    .judge = judge,
};
