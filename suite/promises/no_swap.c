/* SPDX-License-Identifier: MIT */
/* no-swap: under real memory pressure the bytes of a secret never reach the swap device. */
#include <inttypes.h>
#include <stdio.h>

#include "suite/judge.h"

static void plan(struct plan *p)
{
    static const char *const sizes[] = {"32", "257", "page", "page+1", "16*page"};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        plan_at(p, "", sizes[i],
                "open\nalloc s0 n\nalloc s1 n\nfill s0\nfill s1 usable\nlook s0\n"
                "free s0\nlook s1\nalloc s0 n\nfill s0\nresize s0 2*n\nlook s1\n");
}

static enum finding judge(const struct case_run *run, struct evidence *evidence)
{
    uint64_t searches = 0;
    size_t at = 0;
    if (refused(run, evidence))
        return FINDING_REFUSED;
    for (const struct seen *seen; (seen = next_seen(run, SEEN_SWAP, &at)) != NULL;) {
        if (!seen->good) {
            say(evidence, "what was pushed out did not arrive in the swap file in time");
            return FINDING_UNSEEN;
        }
        searches++;
        if (seen->bytes.live_windows + seen->bytes.dead_windows == 0)
            continue;
        say(evidence,
            "%" PRIu64 " runs of 8 secret bytes on the swap device, the first at byte %" PRIu64
            " of the swap file",
            seen->bytes.live_windows + seen->bytes.dead_windows, seen->bytes.address);
        note_number(evidence, "offset", seen->bytes.address);
        return FINDING_BROKEN;
    }
    if (searches == 0) {
        say(evidence, "the swap file was not searched");
        return FINDING_UNSEEN;
    }
    note_number(evidence, "searches_sum", searches);
    say(evidence, "pushed out as far as the kernel would: nothing on the swap device");
    return FINDING_KEPT;
}

const struct promise promise_no_swap = {
    .id = "no-swap",
    .level = PROMISE_HARDENING,
    .statement = "Under memory pressure the bytes of a secret never reach the swap device.",
    .observed =
        "Only with --allow-swap, which changes the host: a swap file of the harness's own is "
        "active meanwhile. While secrets of a size are alive, freed and moved, every page of the "
        "process is pushed out by MADV_PAGEOUT, which takes what real pressure would take; when a "
        "plain page of the harness has arrived, the file is read past the page cache and "
        "searched for runs of 8 secret bytes. Cases run one at a time, each on a zeroed file.",
    .in_practice =
        "Memory that was never locked, or lost its lock; a copy beside it, in a buffer or "
        "on the stack, which no mlock of the secret keeps in.",
    .observers = OBSERVE_SWAP | OBSERVE_MEMORY,
    .slow = true,
    .plan = plan,
    .judge = judge,
};
