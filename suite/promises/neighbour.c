/* SPDX-License-Identifier: MIT */
/* neighbour: freeing one secret leaves every other one as it was. */
#include "suite/judge.h"

#include <inttypes.h>

static void plan(struct plan *p)
{
    plan_sweep(p, "open\n"
                  "alloc s0 n\nalloc s1 n\nalloc s2 n\nalloc s3 n\n"
                  "fill s0\nfill s1\nfill s2\nfill s3\n"
                  "look s0\nlook s2\nlook s3\n"
                  "free s1\n"
                  "check s0\ncheck s2\ncheck s3\n"
                  "look s0\nlook s2\nlook s3\n"
                  "touch s0 inside write n-1\ntouch s2 inside write 0\n"
                  "free s0\n"
                  "check s2\ncheck s3\nlook s2\nlook s3\n"
                  "touch s2 inside write n-1\ntouch s3 inside write 0\n"
                  /* A resize, where it is offered, frees the old place. */
                  "resize s3 2*n\ncheck s2\nlook s2\ntouch s2 inside write 0\n");
}

static enum finding access_lost(const struct case_run *run, struct evidence *evidence)
{
    size_t at = 0;
    for (const struct seen *seen; (seen = next_seen(run, SEEN_OPERATION, &at)) != NULL;) {
        if (seen->operation.code != MODEL_TOUCH || seen->event.outcome != MODEL_TRAPPED)
            continue;
        say(evidence,
            "after another secret was freed, writing to a live one at 0x%" PRIx64 " traps",
            seen->event.trap_address);
        return FINDING_BROKEN;
    }
    return FINDING_KEPT;
}

static enum finding judge(const struct case_run *run, struct evidence *evidence)
{
    if (refused(run, evidence))
        return FINDING_REFUSED;
    enum finding finding = contents_kept(run, evidence);
    if (finding == FINDING_KEPT)
        finding = access_lost(run, evidence);
    if (finding == FINDING_KEPT)
        finding = locks_as_before(run, evidence);
    if (finding == FINDING_KEPT)
        say(evidence, "bytes, locks and access of the others are as they were");
    return finding;
}

const struct promise promise_neighbour = {
    .id = "neighbour",
    .level = PROMISE_CORE,
    .statement = "Freeing one secret leaves every other one's bytes, lock and access as they were.",
    .observed =
        "Of four secrets of one size the second and then the first is freed. The others' "
        "bytes are compared from outside, their locks with what they were before, and they "
        "are written to. Where that is offered the fourth is then resized, which frees its old "
        "place.",
    .in_practice = "munlock by pages: locks do not nest, so the page of a freed secret takes the "
                   "lock of every other one on it along; a wipe that runs past the end; free lists "
                   "kept inside the blocks.",
    .observers = OBSERVE_LOCKS | OBSERVE_MEMORY | OBSERVE_TRAPS | OBSERVE_LIMIT,
    .plan = plan,
    .judge = judge,
};
