/* SPDX-License-Identifier: MIT */
/* locked: every page that holds a byte of a live secret is locked. */
#include "suite/judge.h"

static void plan(struct plan *p)
{
    plan_sweep(p, "open\n"
                  "alloc s0 n\n"
                  "alloc s1 n\n"
                  "look s1\n" /* locked before the first byte is written */
                  "alloc s2 n\n"
                  "fill s0\nfill s1\nfill s2\n"
                  "look s0\nlook s1\nlook s2\n"
                  /* and on every other way to a secret, where it is offered */
                  "protect s0 read\nlook s0\nprotect s0 read-write\nlook s0\n"
                  "protect s0 none\nlook s0\nprotect s0 read-write\nlook s0\n"
                  "resize s1 2*n\nlook s1\nresize s1 n\nlook s1\n"
                  "look s2\n"
                  /* and where a place is used again */
                  "free s2\nfree s0\nalloc s0 n\nlook s0\nalloc s2 n\nlook s2\n");
    plan_part_as(p, "aligned", "open\nalloc s0 n\nlook s0\nalloc-aligned s1 n 64\nlook s1\n");
}

static enum finding judge(const struct case_run *run, struct evidence *evidence)
{
    if (refused(run, evidence))
        return FINDING_REFUSED;
    enum finding finding = locks_kept(run, evidence);
    if (finding == FINDING_KEPT)
        say(evidence, "lo on every page, VmLck and MADV_PAGEOUT agree");
    return finding;
}

const struct promise promise_locked = {
    .id = "locked",
    .level = PROMISE_CORE,
    .statement = "Every page that holds a byte of a live secret is locked, from before alloc "
                 "returns until the secret is wiped.",
    .observed =
        "Three secrets of each size are allocated and filled; where that is offered one is made "
        "read-only, inaccessible and writable again, one is resized, one is asked for with an "
        "alignment; two are freed and allocated anew. "
        "Three witnesses must agree for each of their pages: the flag `lo` of the mapping in smaps decides; VmLck must "
        "cover the pages; MADV_PAGEOUT, tried in the case, must be refused with EINVAL.",
    .in_practice =
        "Locking by a length that leaves out the last page or all but the first; an "
        "mlock whose failure is ignored; a munlock of a page that another secret shares; a "
        "block that is unlocked when freed and not locked when it is used again; "
        "sizes above some threshold that take another path.",
    .observers = OBSERVE_LOCKS | OBSERVE_LIMIT,
    .plan = plan,
    .judge = judge,
};
