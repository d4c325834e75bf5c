/* SPDX-License-Identifier: MIT */
/* alignment: every pointer is a multiple of what is claimed, and of what was asked for. */
#include "suite/judge.h"

#include <inttypes.h>
#include <string.h>

#define ALIGNED(align) "alloc-aligned s4 n " #align "\ntouch s4 inside write n-1\nfree s4\n"

static void plan(struct plan *p)
{
    plan_sweep(p, "open\n"
                  "alloc s0 n\nalloc s1 n\nalloc s2 n\n"
                  "touch s0 inside write 0\ntouch s1 inside write n-1\n"
                  "free s1\nalloc s1 n\ntouch s1 inside write 0\n" /* a place used before */
                  "alloc s3 1\nfree s3\nalloc s3 n\nfree s3\n"     /* behind an odd one */
                  "resize s2 n+1\nfree s2\n" ALIGNED(16) ALIGNED(32) ALIGNED(64) ALIGNED(128)
                      ALIGNED(256) ALIGNED(512) ALIGNED(1024) ALIGNED(2048) ALIGNED(4096));
}

static bool hands_out(unsigned code)
{
    return code == MODEL_ALLOC || code == MODEL_ALLOC_ALIGNED || code == MODEL_RESIZE;
}

/* The least of all multiples of two that were seen; 0: no pointer was. */
static uint64_t least_alignment(const struct case_run *run)
{
    uint64_t bits = 0;
    size_t at = 0;
    for (const struct seen *seen; (seen = next_seen(run, SEEN_OPERATION, &at)) != NULL;)
        if (hands_out(seen->operation.code) && seen->event.outcome == MODEL_OK)
            bits |= seen->event.address;
    return bits & (~bits + 1);
}

static enum finding judge(const struct case_run *run, struct evidence *evidence)
{
    size_t at = 0;
    uint64_t least = least_alignment(run);
    if (least == 0) {
        (void)refused(run, evidence);
        return FINDING_REFUSED;
    }
    note_number(evidence, "align_bytes_min", least);
    for (const struct seen *seen; (seen = next_seen(run, SEEN_VIOLATION, &at)) != NULL;)
        if (strcmp(seen->promise, "alignment") == 0) {
            say(evidence, "%s", seen->text);
            return FINDING_BROKEN;
        }
    at = 0;
    for (const struct seen *seen; (seen = next_seen(run, SEEN_OPERATION, &at)) != NULL;)
        if (seen->operation.code == MODEL_TOUCH && seen->event.outcome == MODEL_TRAPPED) {
            say(evidence, "the pointer 0x%" PRIx64 " leads to no memory: trap at 0x%" PRIx64,
                seen->event.address, seen->event.trap_address);
            return FINDING_BROKEN;
        }
    say(evidence, "each pointer is a multiple of what is claimed and of what was asked for");
    return FINDING_KEPT;
}

const struct promise promise_alignment = {
    .id = "alignment",
    .level = PROMISE_CORE,
    .statement = "Every pointer is a multiple of the alignment that is claimed, else of what the "
                 "platform's malloc promises; one from alloc_aligned, where offered, of what was "
                 "asked for.",
    .observed =
        "Pointers of each size, also from places that were used before and behind odd ones, "
        "and from alloc_aligned for 16 bytes to 4096, are held against `min_align` and what "
        "was asked for. First and last byte are written to: an aligned pointer to nothing is "
        "none. That alloc_aligned refuses is in order.",
    .in_practice =
        "A secret pushed against its guard page ends up at any address; a header of an odd "
        "size; alignment kept for the first of a slab and not for the others; a resize "
        "that forgets it.",
    .observers = OBSERVE_TRAPS,
    .plan = plan,
    .judge = judge,
};
