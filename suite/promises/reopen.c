/* SPDX-License-Identifier: MIT */
/* reopen: close then open gives all the promises again. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "suite/freed.h"
#include "suite/guard.h"

#define ONCE(a, b)                                                                        \
    "open\nalloc s" #a " n\nalloc s" #b " n\nlook s" #a "\n"                              \
    "fill s" #a " usable\nfill s" #b " usable\nlook s" #a "\nlook s" #b "\n"              \
    "walk s" #a " after page\ncheck s" #a "\nfree s" #a "\ncheck s" #b "\nlook s" #b "\n" \
    "free s" #b "\nclose\n"

static void plan(struct plan *p)
{
    plan_part_as(p, "", ONCE(0, 1) ONCE(2, 3) ONCE(4, 5));
}

/* Open, or an allocation, that says no only after a close. */
static bool says_no_now(const struct case_run *run, struct evidence *evidence)
{
    unsigned opened = 0, refused_first = 0, refused_now = 0;
    size_t at = 0;
    for (const struct seen *seen; (seen = next_seen(run, SEEN_OPERATION, &at)) != NULL;) {
        bool opens = seen->operation.code == MODEL_OPEN;
        bool no = seen->event.outcome == MODEL_REFUSED;
        if (opens)
            refused_now = 0;
        if (no && seen->operation.code == MODEL_ALLOC) {
            refused_now++;
            refused_first += opened <= 1; /* too large from the start says nothing of closing */
        }
        if ((no && opens && opened > 0) || refused_now > refused_first) {
            say(evidence, "%s worked before close, and says no after it: %s",
                opens ? "open" : "alloc", strerrorname_np(seen->event.error));
            return true;
        }
        opened += opens && !no;
    }
    return false;
}

static bool guards_lost(const struct case_run *run, struct evidence *evidence)
{
    uint64_t without = 0;
    size_t at = 0;
    for (const struct seen *seen; (seen = next_seen(run, SEEN_OPERATION, &at)) != NULL;)
        without += seen->operation.code == MODEL_WALK && !guard_trapped(&seen->event);
    note_number(evidence, "unguarded_sum", without);
    if (without == 0 || !variant_claims(run->variant, "guard-after"))
        return false;
    say(evidence, "a secret lacks the guard that is claimed");
    return true;
}

/* Kept out of core files, where that is claimed: each page that was looked at. */
static bool dumped(const struct case_run *run, struct evidence *evidence)
{
    const struct seen *first = NULL;
    uint64_t looks = 0;
    size_t at = 0;
    for (const struct seen *seen; (seen = next_seen(run, SEEN_LOCKS, &at)) != NULL;) {
        if (!seen->good || seen->locks.first_dumped == 0)
            continue;
        first = first == NULL ? seen : first;
        looks++;
    }
    note_number(evidence, "dumped_sum", looks);
    if (first == NULL || !variant_claims(run->variant, "no-dump"))
        return false;
    say(evidence, "the secret at 0x%" PRIx64 " would be dumped: %s", first->event.address,
        first->locks.dumped_map);
    return true;
}

static enum finding judge(const struct case_run *run, struct evidence *evidence)
{
    note_number(evidence, "left_in_place_sum", freed_looks(run, SEEN_BYTES));
    note_number(evidence, "left_on_the_way_out_sum", freed_looks(run, SEEN_RELEASE));
    bool guardless = guards_lost(run, evidence), in_core = dumped(run, evidence);
    if (says_no_now(run, evidence))
        return FINDING_BROKEN;
    if (refused(run, evidence))
        return FINDING_REFUSED;
    enum finding finding = guardless || in_core ? FINDING_BROKEN : locks_kept(run, evidence);
    if (finding == FINDING_KEPT)
        finding = contents_kept(run, evidence);
    if (finding == FINDING_KEPT)
        finding = freed_windows(run, evidence);
    if (finding == FINDING_KEPT)
        say(evidence,
            "locked, whole, guarded and undumped as claimed, and wiped, each of three times");
    return finding;
}

static bool controls(const struct evidence *positive, const struct evidence *negative, char *why,
                     size_t why_bytes)
{
    (void)negative;
    if (noted(positive, "left_in_place_sum", 0) == 0)
        (void)snprintf(why, why_bytes, "what the leaking control leaves in place was not seen");
    else if (noted(positive, "left_on_the_way_out_sum", 0) == 0)
        (void)snprintf(why, why_bytes, "what the leaking control gives back was not seen to go");
    else if (noted(positive, "dumped_sum", 0) == 0)
        (void)snprintf(why, why_bytes, "the leaking control's pages were not seen to be dumped");
    else if (noted(positive, "unguarded_sum", 0) == 0)
        (void)snprintf(why, why_bytes, "guards were seen on the control that has none");
    else
        return true;
    return false;
}

const struct promise promise_reopen = {
    .id = "reopen",
    .level = PROMISE_EXTRA,
    .statement = "After close, open gives an allocator that keeps the promises again.",
    .observed =
        "Three times in one process: open, two secrets, their locks, their bytes, the guard "
        "and the flag `dd` where those are claimed, free, close. Open and alloc must say yes each time as they did "
        "the first, and nothing may be left of what was freed.",
    .in_practice =
        "A flag that says `already initialised` outlives the pool it stood for; a quota "
        "that is not given back, so that the second pool is smaller or unlocked; keys of "
        "canaries that are not made anew.",
    .observers = OBSERVE_LOCKS | OBSERVE_MEMORY | OBSERVE_RELEASES | OBSERVE_TRAPS | OBSERVE_LIMIT,
    .entries = MODEL_ENTRY_CLOSE,
    .plan = plan,
    .judge = judge,
    .controls = controls,
};
