/* SPDX-License-Identifier: MIT */
/* accounting: at the limit alloc says no, after one free yes, and no use of it costs quota. */
#include "suite/judge.h"

#include <inttypes.h>
#include <stdio.h>

#define LIMIT "limit 4*page\nopen 4*page\n"
#define ALL "crowd n full\n"

static void plan(struct plan *p)
{
    plan_sweep_as(p, "rounds",
                  LIMIT ALL "crowd-free first\n" ALL "crowd-free last\n" ALL
                            "crowd-free every-other\ncrowd-free first\n" ALL
                            "crowd-free first\nclose\n");
    plan_part_as(p, "one-free",
                 LIMIT "alloc s0 n\nprotect s0 read\n" ALL "free s0\nalloc s1 n\ncrowd-free first\n"
                       "free s1\nclose\n");
    plan_part_as(p, "resized",
                 LIMIT ALL "crowd-free first\nalloc s0 n\nresize s0 5*page\nresize s0 half\n"
                           "free s0\n" ALL "crowd-free first\nclose\n");
    plan_part_as(p, "aligned",
                 LIMIT ALL "crowd-free first\nalloc-aligned s0 n 64\nfree s0\n"
                           "alloc-aligned s0 n 64\nfree s0\n" ALL "crowd-free first\nclose\n");
    plan_part_as(p, "alive-at-close", LIMIT ALL "close\n");
    plan_part_as(p, "refusals",
                 LIMIT ALL "alloc s0 n\nalloc s1 n\nalloc s2 n\nalloc s3 5*page\nalloc s4 max\n"
                           "crowd-free first\n"
                           "alloc s5 5*page\nalloc s6 5*page\nalloc s7 64*page\n" ALL
                           "crowd-free first\nclose\n");
}

/* What the rounds of one case came to. */
struct rounds {
    unsigned fulls;         /* crowds brought to the limit */
    uint64_t limit_bytes;   /* as in force */
    uint64_t counts[8];     /* how many fit, each time */
    uint64_t full_bytes[8]; /* VmLck then */
    uint64_t peak_bytes;
    bool never_refused;
};

static void rounds_add(struct rounds *rounds, const struct seen *seen)
{
    if (seen->operation.code == MODEL_LIMIT)
        rounds->limit_bytes = seen->event.size_bytes;
    if (seen->locked_bytes != UINT64_MAX && seen->locked_bytes > rounds->peak_bytes)
        rounds->peak_bytes = seen->locked_bytes;
    if (seen->operation.code != MODEL_CROWD || rounds->fulls == 8)
        return;
    rounds->counts[rounds->fulls] = seen->event.count;
    rounds->full_bytes[rounds->fulls++] = seen->locked_bytes;
    rounds->never_refused |= seen->event.error == 0;
}

static struct rounds rounds_of(const struct case_run *run)
{
    struct rounds rounds = {0};
    size_t at = 0;
    for (const struct seen *seen; (seen = next_seen(run, SEEN_OPERATION, &at)) != NULL;)
        rounds_add(&rounds, seen);
    return rounds;
}

/* At the limit it says no. */
static enum finding says_no(const struct case_run *run, const struct rounds *rounds,
                            struct evidence *evidence)
{
    const struct seen *crowd = last_operation(run, MODEL_CROWD);
    uint64_t live = crowd != NULL ? crowd->event.count * crowd->event.size_bytes : 0;
    if (run->baseline_locked_bytes > rounds->limit_bytes &&
        rounds->peak_bytes == run->baseline_locked_bytes) {
        say(evidence,
            "%" PRIu64 " bytes were locked before the limit of %" PRIu64
            " was set, while it was loaded: whether it keeps to one cannot be told",
            rounds->peak_bytes, rounds->limit_bytes);
        return FINDING_UNSEEN;
    }
    if (rounds->peak_bytes != 0 && rounds->peak_bytes > rounds->limit_bytes) {
        say(evidence, "VmLck rose to %" PRIu64 " bytes under a limit of %" PRIu64,
            rounds->peak_bytes, rounds->limit_bytes);
        return FINDING_BROKEN;
    }
    if (!rounds->never_refused)
        return FINDING_KEPT;
    if (live > rounds->limit_bytes) {
        say(evidence,
            "%" PRIu64 " secrets of %" PRIu64 " bytes were handed out under a limit of %" PRIu64
            " bytes, with VmLck at %" PRIu64,
            crowd->event.count, crowd->event.size_bytes, rounds->limit_bytes, crowd->locked_bytes);
        return FINDING_BROKEN;
    }
    say(evidence, "never came to the limit");
    return FINDING_UNSEEN;
}

/* Equal rounds: the second and later ones begin alike, so they must end alike. */
static enum finding rounds_equal(const struct rounds *rounds, struct evidence *evidence)
{
    for (unsigned i = 2; i < rounds->fulls; i++) {
        if (rounds->counts[i] < rounds->counts[1]) {
            say(evidence,
                "quota is lost: %" PRIu64 " secrets fit in round 2, %" PRIu64 " in round %u",
                rounds->counts[1], rounds->counts[i], i + 1);
            return FINDING_BROKEN;
        }
        if (rounds->counts[i] == rounds->counts[1] &&
            rounds->full_bytes[i] > rounds->full_bytes[1]) {
            say(evidence,
                "VmLck rises with equal rounds: %" PRIu64 " bytes in round 2, %" PRIu64
                " in round %u",
                rounds->full_bytes[1], rounds->full_bytes[i], i + 1);
            return FINDING_BROKEN;
        }
    }
    if (rounds->fulls == 2 && rounds->counts[1] < rounds->counts[0]) {
        say(evidence,
            "quota is lost: %" PRIu64 " secrets fit before other calls, %" PRIu64 " after them",
            rounds->counts[0], rounds->counts[1]);
        return FINDING_BROKEN;
    }
    return FINDING_KEPT;
}

/* A refusal locks nothing; the believed sum is the real one; close gives everything back. */
static enum finding each_step(const struct case_run *run, struct evidence *evidence)
{
    uint64_t before = UINT64_MAX;
    size_t at = 0;
    for (const struct seen *seen; (seen = next_seen(run, SEEN_OPERATION, &at)) != NULL;) {
        const struct model_event *event = &seen->event;
        char operation[96];
        if (seen->locked_bytes == UINT64_MAX)
            continue;
        (void)model_operation_print(&seen->operation, operation, sizeof operation);
        uint64_t grown = seen->locked_bytes - run->unloaded_locked_bytes;
        if (event->outcome == MODEL_REFUSED && seen->operation.code != MODEL_CROWD &&
            before != UINT64_MAX && seen->locked_bytes > before) {
            say(evidence, "`%s` said no and left %" PRIu64 " more bytes locked", operation,
                seen->locked_bytes - before);
            return FINDING_BROKEN;
        }
        if (event->locked_bytes != UINT64_MAX && event->outcome != MODEL_SKIPPED &&
            event->locked_bytes != grown) {
            say(evidence, "after `%s` locked_bytes says %" PRIu64 ", VmLck grew by %" PRIu64,
                operation, event->locked_bytes, grown);
            return FINDING_BROKEN;
        }
        if (seen->operation.code == MODEL_CLOSE && event->outcome == MODEL_OK &&
            seen->locked_bytes > run->baseline_locked_bytes) {
            say(evidence, "after close %" PRIu64 " bytes are still locked",
                seen->locked_bytes - run->baseline_locked_bytes);
            return FINDING_BROKEN;
        }
        before = seen->locked_bytes;
    }
    return FINDING_KEPT;
}

static enum finding one_free(const struct case_run *run, struct evidence *evidence)
{
    const struct seen *again = last_operation(run, MODEL_ALLOC);
    if (again == NULL || again->operation.slot != 1 || again->event.outcome != MODEL_REFUSED)
        return FINDING_KEPT;
    say(evidence, "at the limit, after one free, alloc of the same size still says no");
    return FINDING_BROKEN;
}

static bool first_was_refused(const struct rounds *rounds)
{
    return rounds->fulls == 0 || rounds->counts[0] == 0;
}

static enum finding judge(const struct case_run *run, struct evidence *evidence)
{
    struct rounds rounds = rounds_of(run);
    if (first_was_refused(&rounds) && !rounds.never_refused) {
        say(evidence, "one alone does not fit under a limit of %" PRIu64 " bytes",
            rounds.limit_bytes);
        return FINDING_REFUSED;
    }
    note_number(evidence, "limit_bytes_max", rounds.limit_bytes);
    note_number(evidence, "vmlck_peak_bytes_max", rounds.peak_bytes);
    enum finding finding = says_no(run, &rounds, evidence);
    if (finding == FINDING_KEPT)
        finding = rounds_equal(&rounds, evidence);
    if (finding == FINDING_KEPT)
        finding = each_step(run, evidence);
    if (finding == FINDING_KEPT && run->label[0] == 'o')
        finding = one_free(run, evidence);
    if (finding == FINDING_KEPT)
        say(evidence, "no at the limit, yes after a free, and no quota lost");
    return finding;
}

/* VmLck is seen to move on an allocator that locks. */
static bool controls(const struct evidence *positive, const struct evidence *negative, char *why,
                     size_t why_bytes)
{
    (void)positive;
    if (noted(negative, "vmlck_peak_bytes_max", 0) > 0)
        return true;
    (void)snprintf(why, why_bytes, "VmLck was not seen to rise on the control that locks");
    return false;
}

const struct promise promise_accounting = {
    .id = "accounting",
    .level = PROMISE_CORE,
    .statement =
        "At the limit alloc says no, and after one free yes; equal rounds of use do not "
        "raise VmLck; failed calls cost no quota; after close VmLck is as before open; and "
        "locked_bytes, where offered, is what VmLck says.",
    .observed =
        "Under a limit of 4 pages, without CAP_IPC_LOCK, secrets of each size are allocated "
        "until alloc says no, freed in three orders, and allocated again; VmLck is read "
        "after every step and held against the limit, the rounds before, and locked_bytes.",
    .in_practice =
        "munlock of fewer bytes than were locked; quota lost when locking fails half way "
        "(a failed mlock can still be charged); no munlock before the memory goes back; "
        "the limit read once.",
    .observers = OBSERVE_LOCKS | OBSERVE_LIMIT,
    .plan = plan,
    .judge = judge,
    .control_partly = true,
    .controls = controls,
};
