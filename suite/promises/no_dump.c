/* SPDX-License-Identifier: MIT */
/* no-dump: a core file holds no secret: by a real one, and by the flags of its pages. */
#include <inttypes.h>
#include <stdio.h>

#include "suite/judge.h"

static void plan(struct plan *p)
{
    plan_sweep(p, "open\n"
                  "alloc s0 n\nalloc s1 n\nalloc s2 n\n"
                  "fill s0\nfill s1\nfill s2\n"
                  "look s0\nlook s1\nlook s2\n"
                  "free s0\nlook s1\nlook s2\n"
                  "alloc s0 n\nfill s0\nlook s0\n"
                  /* And on every other way to a secret, where it is offered. Resized while empty: a
                   * copy leaves bytes in vector registers, and those are in a core file too. */
                  "protect s0 none\nlook s0\nprotect s0 read-write\nlook s0\n"
                  "free s2\nlook s1\nlook s0\n"
                  "alloc-aligned s2 n 64\nfill s2\nlook s2\n"
                  "free s1\nalloc s1 n\nresize s1 2*n\nfill s1\nlook s1\n");
}

/* The flag `dd` on each page of each live secret. */
static enum finding judge_flags(const struct case_run *run, struct evidence *evidence)
{
    size_t at = 0;
    unsigned looked = 0;
    for (const struct seen *seen; (seen = next_seen(run, SEEN_LOCKS, &at)) != NULL; looked++) {
        const struct target_locks *pages = &seen->locks;
        if (!seen->good) {
            say(evidence, "smaps could not be read");
            return FINDING_UNSEEN;
        }
        if (pages->dd_pages == pages->pages)
            continue;
        say(evidence,
            "%" PRIu64 " of %" PRIu64 " pages at 0x%" PRIx64
            " would be dumped, the first at 0x%" PRIx64 ": %s",
            pages->pages - pages->dd_pages, pages->pages, seen->event.address, pages->first_dumped,
            pages->dumped_map);
        note_address(evidence, "secret", seen->event.address);
        note_text(evidence, "map", pages->dumped_map);
        return FINDING_BROKEN;
    }
    return looked == 0 ? FINDING_UNSEEN : FINDING_KEPT;
}

/* The core file that the case left when its program was over, with secrets alive. */
static enum finding judge_core(const struct case_run *run, struct evidence *evidence)
{
    size_t at = 0;
    const struct seen *core = next_seen(run, SEEN_CORE, &at);
    bool usable = core != NULL && core->good;
    note_number(evidence, "cores_sum", usable);
    note_number(evidence, "cores_with_secrets_sum", usable && core->bytes.live_windows > 0);
    if (!usable || core->bytes.live_windows == 0)
        return usable ? FINDING_KEPT : FINDING_UNSEEN;
    say(evidence,
        "%" PRIu64 " runs of 8 secret bytes in a core file of %" PRIu64
        " bytes, the first at its byte %" PRIu64,
        core->bytes.live_windows, core->bytes.size_bytes, core->bytes.address);
    return FINDING_BROKEN;
}

static enum finding judge(const struct case_run *run, struct evidence *evidence)
{
    if (refused(run, evidence))
        return FINDING_REFUSED;
    enum finding core = judge_core(run, evidence);
    if (core == FINDING_BROKEN)
        return core;
    enum finding flags = judge_flags(run, evidence);
    if (flags != FINDING_KEPT)
        return flags;
    note_text(evidence, "witness", core == FINDING_KEPT ? "core file, dd flag" : "dd flag");
    say(evidence,
        core == FINDING_KEPT
            ? "nothing of them in a real core file; dd on every page"
            : "dd on every page, weaker evidence than a core file, which cannot be had here");
    return FINDING_KEPT;
}

/* Where there are core files, the leaking control's must have been seen to hold secrets. */
static bool controls(const struct evidence *positive, const struct evidence *negative, char *why,
                     size_t why_bytes)
{
    if (noted(negative, "cores_sum", 0) == 0 || noted(positive, "cores_with_secrets_sum", 0) > 0)
        return true;
    (void)snprintf(why, why_bytes, "no secret was seen in the core files of the leaking control");
    return false;
}

const struct promise promise_no_dump = {
    .id = "no-dump",
    .level = PROMISE_HARDENING,
    .statement = "A core file holds no byte of a live secret.",
    .observed =
        "With three secrets of each size alive, one resized and one asked for with an alignment "
        "where that is offered, the case dies by SIGABRT, and its core file, in which "
        "a marker of the case must be found, is searched for runs of 8 secret bytes: of the "
        "secrets and of copies anywhere. Each page of theirs must carry the flag `dd` in smaps as "
        "well, also of a place that is used again. Where core_pattern is a pipe or names a folder "
        "there are no files to be searched, and the flags alone must do: the weaker evidence, and "
        "called so.",
    .in_practice = "No MADV_DONTDUMP; one whose failure is ignored, as of an address that is not a "
                   "page's; two advices joined by `|`, which are numbers and not flags; an advice "
                   "for the first page only; one that is lost when the pages are mapped anew; a "
                   "copy beside the secret.",
    .observers = OBSERVE_LOCKS,
    .also = OBSERVE_CORES,
    .plan = plan,
    .judge = judge,
    .controls = controls,
};
