/* SPDX-License-Identifier: MIT */
/* fresh: a new allocation never shows bytes of an older secret. */
#include "suite/freed.h"

#include <inttypes.h>

/* One secret is planted and freed, the next one of that size is looked at before it is written. */
#define ROUND "alloc s0 n\nfill s0 usable\nfree s0\nalloc s0 n\npeek s0\nfree s0\n"

static void plan(struct plan *p)
{
    plan_sweep(p, "open\n" ROUND ROUND ROUND ROUND "alloc s1 n\nalloc s2 n\nalloc s3 n\n"
                  "fill s1 usable\nfill s2 usable\nfill s3 usable\n"
                  "free s1\nfree s3\nfree s2\n" /* what was freed first, last, and joined */
                  "alloc s4 n\npeek s4\nalloc s5 n\npeek s5\nalloc s6 n\npeek s6\n"
                  "alloc s7 2*n\npeek s7\nalloc s8 64\npeek s8\nalloc s9 page\npeek s9\n"
                  "fill s4 usable\nfree s4\nresize s5 2*n\npeek s5\n");
}

/* All rounds showed the whole of a secret shorter than a window. */
static enum finding short_shown(const struct case_run *run, struct evidence *evidence)
{
    unsigned rounds = 0;
    for (size_t i = 0; i < run->count; i++) {
        const struct seen *seen = &run->seen[i];
        if (seen->kind != SEEN_BYTES || seen->operation.code != MODEL_PEEK ||
            seen->operation.slot != 0 || seen->bytes.short_bytes == 0)
            continue;
        if (!seen->bytes.short_whole)
            return FINDING_KEPT;
        rounds++;
    }
    if (rounds < 4)
        return FINDING_KEPT;
    say(evidence, "each of %u new secrets shows the older one's bytes", rounds);
    return FINDING_BROKEN;
}

static enum finding judge(const struct case_run *run, struct evidence *evidence)
{
    unsigned looked = 0;
    for (size_t i = 0; i < run->count; i++) {
        const struct seen *seen = &run->seen[i];
        if (seen->kind != SEEN_BYTES || seen->operation.code != MODEL_PEEK)
            continue;
        looked += seen->bytes.place_bytes > 0;
        if (seen->bytes.dead_windows == 0)
            continue;
        say(evidence,
            "a new secret at 0x%" PRIx64 " shows %" PRIu64
            " runs of 8 bytes of an older one, the first at 0x%" PRIx64,
            seen->bytes.address, seen->bytes.dead_windows, seen->bytes.dead_address);
        note_address(evidence, "address", seen->bytes.address);
        note_number(evidence, "windows", seen->bytes.dead_windows);
        note_number(evidence, "op_index", seen->op_index);
        return FINDING_BROKEN;
    }
    if (looked == 0)
        return refused(run, evidence) ? FINDING_REFUSED : FINDING_UNSEEN;
    enum finding finding = short_shown(run, evidence);
    if (finding == FINDING_KEPT)
        say(evidence, "no byte of an older secret in a new one");
    return finding;
}

const struct promise promise_fresh = {
    .id = "fresh",
    .level = PROMISE_CORE,
    .statement = "A new allocation never shows bytes of an older secret.",
    .observed = "Secrets are planted, all usable bytes of them, and freed; then the whole usable "
                "place of each new allocation of that and of other sizes, and of one that was "
                "resized, is searched from outside before anything is written to it.",
    .in_practice =
        "Wiping left to the next alloc, and forgotten on one of its paths; a wipe of what "
        "was asked for where more was usable; blocks joined over a wiped and an unwiped "
        "one; a grown secret whose tail was another's.",
    .observers = OBSERVE_MEMORY,
    .plan = plan,
    .judge = judge,
};
