/* SPDX-License-Identifier: MIT */
/* use-after-free: a stale read or write traps, or at least never reads a secret. */
#include "suite/judge.h"

#include <inttypes.h>

#define STALE(slot) "stale s" #slot " read\nstale s" #slot " write\npeek s" #slot "\n"
#define AGAIN "alloc s5 n\nfill s5\nstale s1 read\npeek s1\nfree s5\n"

static void plan(struct plan *p)
{
    plan_sweep(p, "open\n"
                  "alloc s0 n\nalloc s1 n\nalloc s2 n\nalloc s3 n\nalloc s4 n\n"
                  "fill s0 usable\nfill s1 usable\nfill s2 usable\nfill s3 usable\n"
                  "free s1\n" STALE(1) AGAIN AGAIN AGAIN AGAIN AGAIN AGAIN AGAIN AGAIN
               "free s0\n" STALE(0) "free s2\n" STALE(2) "free s3\n" STALE(3));
    /* Other ways to a secret; where one is not offered, the alloc behind it has an empty slot. */
    plan_part_as(p, "aligned",
                 "open\nalloc s0 n\nalloc-aligned s1 n 64\nalloc s1 n\nalloc s2 n\n"
                 "fill s1 usable\nfree s1\n" STALE(
                     1) "alloc-aligned s5 n 64\nalloc s5 n\nfill s5\nstale s1 read\npeek s1\n");
    plan_part_as(
        p, "resized",
        "open\nalloc s0 n\nalloc s1 n\nalloc s2 n\nresize s1 2*n\n"
        "fill s1 usable\nfree s1\n" STALE(1) "alloc s5 2*n\nfill s5\nstale s1 read\npeek s1\n");
}

/* What one case came to, step by step. */
struct stale {
    uint64_t address;     /* of s1, once it is freed */
    unsigned allocations; /* since then */
    unsigned returned;    /* the number of the one that got the address again; 0: none yet */
    unsigned tried, trapped, shorts;
    bool open;                /* the last stale touch went through */
    const struct seen *shows; /* the first look through such a touch that found secret bytes */
};

static void stale_operation(struct stale *stale, const struct seen *seen)
{
    const struct model_event *event = &seen->event;
    if (seen->operation.code == MODEL_FREE && seen->operation.slot == 1)
        stale->address = event->old_address;
    bool allocates =
        seen->operation.code == MODEL_ALLOC || seen->operation.code == MODEL_ALLOC_ALIGNED;
    if (allocates && event->outcome == MODEL_OK && stale->address != 0) {
        stale->allocations++;
        if (stale->returned == 0 && event->address == stale->address)
            stale->returned = stale->allocations;
    }
    if (seen->operation.code == MODEL_STALE && event->outcome != MODEL_SKIPPED) {
        stale->tried++;
        stale->trapped += event->outcome == MODEL_TRAPPED;
        stale->open = event->outcome != MODEL_TRAPPED;
    }
}

/* What a later owner keeps there counts only if the very next allocation is that owner. */
static void stale_look(struct stale *stale, const struct seen *seen)
{
    bool others = seen->bytes.live_windows > 0 && stale->allocations == 1;
    if (!stale->open)
        return;
    stale->shorts +=
        seen->bytes.short_whole && (seen->operation.slot != 1 || stale->allocations == 0);
    if (stale->shows == NULL && (seen->bytes.dead_windows > 0 || others))
        stale->shows = seen;
}

static struct stale stale_of(const struct case_run *run)
{
    struct stale stale = {0};
    for (size_t i = 0; i < run->count; i++) {
        const struct seen *seen = &run->seen[i];
        if (seen->kind == SEEN_OPERATION)
            stale_operation(&stale, seen);
        else if (seen->kind == SEEN_BYTES && seen->operation.code == MODEL_PEEK)
            stale_look(&stale, seen);
    }
    return stale;
}

static void note_stale(const struct stale *stale, struct evidence *evidence)
{
    note_number(evidence, "stale_touches_sum", stale->tried);
    note_number(evidence, "stale_traps_sum", stale->trapped);
    if (stale->returned != 0)
        note_number(evidence, "address_returns_after_min", stale->returned);
}

static enum finding judge(const struct case_run *run, struct evidence *evidence)
{
    struct stale stale = stale_of(run);
    if (refused(run, evidence))
        return FINDING_REFUSED;
    if (stale.tried == 0) {
        say(evidence, "no freed place could be touched");
        return FINDING_UNSEEN;
    }
    note_stale(&stale, evidence);
    if (stale.shows != NULL) {
        bool dead = stale.shows->bytes.dead_windows > 0;
        say(evidence,
            "a stale pointer to 0x%" PRIx64 " reads %s: %" PRIu64 " runs of 8 secret bytes",
            stale.shows->bytes.address,
            dead ? "a freed secret" : "the secret that was allocated next",
            dead ? stale.shows->bytes.dead_windows : stale.shows->bytes.live_windows);
        note_address(evidence, "address", stale.shows->bytes.address);
        return FINDING_BROKEN;
    }
    if (stale.shorts == 4) {
        say(evidence, "stale pointers read every one of 4 short freed secrets whole");
        return FINDING_BROKEN;
    }
    say(evidence, stale.trapped == stale.tried
                      ? "every stale touch traps"
                      : "a stale pointer that does not trap reads no secret");
    return FINDING_KEPT;
}

const struct promise promise_use_after_free = {
    .id = "use-after-free",
    .level = PROMISE_HARDENING,
    .statement = "A stale read or write traps, or at least never reads a secret: neither what was "
                 "freed, nor what the next allocation puts there.",
    .observed = "Every page of freed secrets is read and written by the case itself, at once and "
                "after each of eight more allocations of that size. Where that does not trap, the "
                "place is searched from outside. After how many allocations the address is handed "
                "out again is reported.",
    .in_practice = "Freed memory that stays readable and is wiped late or in part; free lists that "
                   "hand out first what was freed last, so that the next secret is under the stale "
                   "pointer; quarantine of small or of large sizes only.",
    .observers = OBSERVE_TRAPS | OBSERVE_MEMORY,
    .plan = plan,
    .judge = judge,
    /* The pages of a large secret go back to the kernel on the control: there are zeros then. */
    .control_partly = true,
};
