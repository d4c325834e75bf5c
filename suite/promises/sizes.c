/* SPDX-License-Identifier: MIT */
/* sizes: for any size a pointer to at least that much, or a clean failure. */
#include "suite/judge.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const huge[] = {"16*page",   "4096*page", "8191*page", "max",       "max-1",
                                   "max-7",     "max-8",     "max-15",    "max-16",    "max-31",
                                   "max-32",    "max-63",    "max-64",    "max-4094",  "max-4095",
                                   "max-4096",  "max-8191",  "max-8192",  "max-16383", "max-65535",
                                   "max-65536", "half-1",    "half",      "half+1",    "half+4096"};

static void plan(struct plan *p)
{
    plan_case(p, "n=0", "open\nalloc s0 0\nalloc s1 0\nfree s0\nfree s1\n", NULL);
    plan_sweep(p, "open\n"
                  "alloc s0 n\nfill s0\nalloc s1 n\nfill s1\n"
                  "touch s0 inside write 0\ntouch s0 inside write n-1\n"
                  "touch s1 inside write 0\ntouch s1 inside write n-1\n"
                  "free s0\nfree s1\n");
    for (size_t i = 0; i < sizeof huge / sizeof *huge; i++)
        plan_at(p, "huge", huge[i],
                "open\n"
                "alloc s0 n\n"
                "touch s0 inside write 0\ntouch s0 inside write n-1\n"
                "alloc s1 32\nfill s1\n" /* a failure must leave the rest in order */
                "free s0\n"
                /* the same sizes on the other ways to a secret, where they are offered */
                "alloc-aligned s2 n 64\n"
                "touch s2 inside write 0\ntouch s2 inside write n-1\nfree s2\n"
                "resize s1 n\n"
                "touch s1 inside write 0\ntouch s1 inside write n-1\nfree s1\n");
}

static bool out_of_reach(const struct seen *seen)
{
    return (seen->operation.code == MODEL_TOUCH || seen->operation.code == MODEL_FILL) &&
           seen->event.outcome == MODEL_TRAPPED;
}

static enum finding judge(const struct case_run *run, struct evidence *evidence)
{
    for (size_t i = 0; i < run->count; i++) {
        const struct seen *seen = &run->seen[i];
        if (seen->kind == SEEN_VIOLATION && strcmp(seen->promise, "sizes") == 0) {
            say(evidence, "%s", seen->text);
            return FINDING_BROKEN;
        }
        if (seen->kind == SEEN_OPERATION && out_of_reach(seen)) {
            say(evidence,
                "%" PRIu64 " bytes asked for, and the pointer 0x%" PRIx64 " does not lead to them: "
                "trap at 0x%" PRIx64,
                seen->event.size_bytes, seen->event.address, seen->event.trap_address);
            note_address(evidence, "trap_address", seen->event.trap_address);
            return FINDING_BROKEN;
        }
    }
    say(evidence, "a pointer to that much, or a clean failure");
    return FINDING_KEPT;
}

const struct promise promise_sizes = {
    .id = "sizes",
    .level = PROMISE_CORE,
    .statement = "For every size, 0 and the sizes that wrap included: a pointer to at least that "
                 "much, or a clean failure (NULL and errno).",
    .observed =
        "0, the whole sweep, and sizes up to SIZE_MAX around which header, guard or rounding "
        "wrap; the largest also with an alignment, and by resize, where that is offered. First and "
        "last byte are written to; pointers must not overlap; usable must "
        "not be less than what was asked for; a NULL needs an errno; after a failure a small "
        "allocation must still work.",
    .in_practice =
        "size + header wraps and a small block is returned; rounding SIZE_MAX up gives 0; "
        "NULL without errno; a division or shift by an odd arena size.",
    .observers = OBSERVE_TRAPS,
    .plan = plan,
    .judge = judge,
    .control_partly = true,
};
