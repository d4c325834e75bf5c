/* SPDX-License-Identifier: MIT */
/* threads: while several threads allocate and free, secrets stay whole and locked, and are wiped. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "contract/strongroom.h"
#include "suite/freed.h"

static void add(struct plan *p, const char *size, const char *storm)
{
    char text[256];
    (void)snprintf(text, sizeof text,
                   "open\nalloc s0 n\nfill s0\n%s\n%s\ncheck s0\nlook s0\nfree s0\n"
                   "crowd n 8\ncrowd-look\ncrowd-free every-other\ncrowd-free last\nclose\n",
                   storm, storm);
    plan_at(p, "", size, text);
}

static void plan(struct plan *p)
{
    add(p, "1", "storm n 256 4");
    add(p, "32", "storm n 256 4");
    add(p, "257", "storm n 256 4");
    add(p, "page", "storm n 128 4");
    add(p, "page+1", "storm n 128 2");
    add(p, "3*page", "storm n 64 4");
}

static enum finding judge_storm(const struct seen *seen, struct evidence *evidence)
{
    const struct model_event *storm = &seen->event;
    if (storm->count_good < storm->count) {
        say(evidence, "of %" PRIu64 " secrets %" PRIu64 " held what was planted when freed",
            storm->count, storm->count_good);
        return FINDING_BROKEN;
    }
    if (storm->count_locked == UINT64_MAX) {
        say(evidence, "MADV_PAGEOUT does not tell here whether pages are locked");
        return FINDING_UNSEEN;
    }
    if (storm->count_locked < storm->count) {
        say(evidence, "of %" PRIu64 " secrets %" PRIu64 " were locked from alloc to free",
            storm->count, storm->count_locked);
        return FINDING_BROKEN;
    }
    return FINDING_KEPT;
}

/* What the threads freed: anywhere in the process when all is over, or on its way out. */
static enum finding judge_bytes(const struct case_run *run, struct evidence *evidence)
{
    uint64_t looks = 0;
    for (size_t i = 0; i < run->count; i++) {
        const struct seen *seen = &run->seen[i];
        bool going = seen->kind == SEEN_RELEASE && seen->operation.code == MODEL_STORM;
        bool left = seen->kind == SEEN_RESIDUE && strcmp(seen->bytes.where, "process") == 0;
        looks += left && seen->good;
        if (!(going || left) || seen->bytes.dead_windows == 0)
            continue;
        say(evidence, "runs of 8 secret bytes at 0x%" PRIx64 " (%s %s)%s%s",
            seen->bytes.dead_address, going ? "when given to" : "searching the", seen->bytes.where,
            seen->text[0] != '\0' ? ": " : "", seen->text);
        note_address(evidence, "address", seen->bytes.dead_address);
        return FINDING_BROKEN;
    }
    if (looks > 0)
        return FINDING_KEPT;
    say(evidence, "the memory of the process could not be searched");
    return FINDING_UNSEEN;
}

/* Locks that threads left behind: after close there may be none. */
static enum finding judge_quota(const struct case_run *run, struct evidence *evidence)
{
    const struct seen *close = last_operation(run, MODEL_CLOSE);
    if (close == NULL || close->event.outcome != MODEL_OK || close->locked_bytes == UINT64_MAX ||
        close->locked_bytes <= run->baseline_locked_bytes)
        return FINDING_KEPT;
    say(evidence, "after close %" PRIu64 " bytes are locked, %" PRIu64 " before open",
        close->locked_bytes, run->baseline_locked_bytes);
    return FINDING_BROKEN;
}

static enum finding judge_crowd(const struct case_run *run, struct evidence *evidence)
{
    const struct seen *look = last_operation(run, MODEL_CROWD_LOOK);
    if (look == NULL || look->event.outcome == MODEL_SKIPPED ||
        (look->event.count_good == look->event.count &&
         (look->event.count_locked == look->event.count || look->event.count_locked == UINT64_MAX)))
        return FINDING_KEPT;
    say(evidence,
        "afterwards, of %" PRIu64 " live secrets %" PRIu64 " are whole and %" PRIu64 " locked",
        look->event.count, look->event.count_good, look->event.count_locked);
    return FINDING_BROKEN;
}

static enum finding judge(const struct case_run *run, struct evidence *evidence)
{
    enum finding finding = FINDING_KEPT;
    uint64_t storms = 0, handed_out = 0, unlocked = 0;
    size_t at = 0;
    for (const struct seen *seen; (seen = next_seen(run, SEEN_OPERATION, &at)) != NULL;) {
        if (seen->operation.code != MODEL_STORM || seen->event.outcome == MODEL_SKIPPED)
            continue;
        storms += seen->event.outcome == MODEL_OK;
        handed_out += seen->event.count;
        unlocked += seen->event.count - seen->event.count_locked;
        finding = finding == FINDING_KEPT ? judge_storm(seen, evidence) : finding;
    }
    note_number(evidence, "secrets_sum", handed_out);
    note_number(evidence, "unlocked_sum", unlocked);
    if (storms == 0) {
        (void)refused(run, evidence);
        return FINDING_REFUSED;
    }
    enum finding bytes = finding == FINDING_KEPT ? judge_bytes(run, evidence) : finding;
    note_number(evidence, "left_sum", freed_looks(run, SEEN_RESIDUE));
    note_number(evidence, "on_the_way_out_sum", freed_looks(run, SEEN_RELEASE));
    finding = bytes == FINDING_KEPT ? judge_quota(run, evidence) : bytes;
    finding = finding == FINDING_KEPT ? judge_crowd(run, evidence) : finding;
    if (finding == FINDING_KEPT)
        finding = worse(locks_kept(run, evidence), contents_kept(run, evidence));
    if (finding == FINDING_KEPT)
        say(evidence, "whole and locked from alloc to free, wiped after it, on every thread");
    return finding;
}

/* The leaking control is caught by several of the looks; each has to have seen it. */
static bool controls(const struct evidence *positive, const struct evidence *negative, char *why,
                     size_t why_bytes)
{
    (void)negative;
    if (noted(positive, "unlocked_sum", 0) == 0)
        (void)snprintf(why, why_bytes, "the leaking control's secrets were seen locked");
    else if (noted(positive, "left_sum", 0) == 0)
        (void)snprintf(why, why_bytes, "what the leaking control's threads leave was not seen");
    else if (noted(positive, "on_the_way_out_sum", 0) == 0)
        (void)snprintf(why, why_bytes, "what they give back was not seen to go");
    else
        return true;
    return false;
}

const struct promise promise_threads = {
    .id = "threads",
    .level = PROMISE_HARDENING,
    .statement =
        "All that is promised of one secret holds while several threads allocate and free.",
    .observed =
        "Two to four threads allocate, fill, look at, check and free secrets of one size, their own "
        "and each other's, every fourth by a resize and every fourth with an alignment where that "
        "is offered, at the same time, in two storms of up to 1,024 rounds. Each secret must be "
        "locked (by "
        "MADV_PAGEOUT) from alloc to free and hold its bytes till then; nothing of them may be "
        "given back unwiped, or be found anywhere in the process when all threads are done; what "
        "was alive before and what comes after must be whole and locked; and after close "
        "nothing stays locked. A crash, a deadlock or a call of fatal is a failure. Only asked of "
        "allocators that say they are thread-safe. Which races are met is for chance to say: "
        "what is seen to break is broken, what holds has held so often.",
    .in_practice =
        "A pool without a lock, or with one around half of it; a reference count of locked pages "
        "that is not atomic; a free by another thread than the one that allocated; a thread-local cache that is never wiped; munlock of a page in "
        "which another thread has just been given a slot.",
    .observers = OBSERVE_PROCESS | OBSERVE_LOCKS | OBSERVE_RELEASES | OBSERVE_MEMORY,
    .flags = SECRET_ALLOC_THREAD_SAFE,
    .slow = true,
    .plan = plan,
    .judge = judge,
    .controls = controls,
};
