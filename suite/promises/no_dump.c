/* SPDX-License-Identifier: MIT */
/* no-dump: a core file holds no secret, by the flags of its pages. */
#include <inttypes.h>
#include <stdio.h>

#include "suite/judge.h"

static void plan(struct plan *p)
{
    plan_sweep(p, "open\n"
                  "alloc s0 n\nalloc s1 n\nalloc s2 n\n"
                  "fill s0\nfill s1\nfill s2\n"
                  "look s0\nlook s1\nlook s2\n"
                  "free s0\nlook s1\n"
                  "alloc s0 n\nfill s0\nlook s0\n");
}

static enum finding judge(const struct case_run *run, struct evidence *evidence)
{
    size_t at = 0;
    unsigned looked = 0;
    if (refused(run, evidence))
        return FINDING_REFUSED;
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
    if (looked == 0)
        return FINDING_UNSEEN;
    note_text(evidence, "witness", "dd flag");
    say(evidence, "dd on every page: the kernel leaves them out of a core file");
    return FINDING_KEPT;
}

const struct promise promise_no_dump = {
    .id = "no-dump",
    .level = PROMISE_HARDENING,
    .statement = "A core file holds no byte of a live secret.",
    .observed = "The flag `dd` of the mapping in smaps, on each page of live secrets of each size, "
                "also of a place that is used again. That is weaker evidence than a core file that "
                "was searched: it says what the kernel will leave out, and nothing of copies "
                "elsewhere in the process.",
    .in_practice = "No MADV_DONTDUMP; one whose failure is ignored, as of an address that is not a "
                   "page's; two advices joined by `|`, which are numbers and not flags; an advice "
                   "for the first page only; one that is lost when the pages are mapped anew.",
    .observers = OBSERVE_LOCKS,
    .plan = plan,
    .judge = judge,
};
