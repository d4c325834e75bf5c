/* SPDX-License-Identifier: MIT */
/* scale: the promises hold with very many live secrets, or alloc says no. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "suite/freed.h"

#define MANY(count)                                                              \
    "open\ncrowd n " #count "\ncrowd-look\ncrowd-free every-other\ncrowd-look\n" \
    "alloc s0 n\nfill s0\nlook s0\ncheck s0\nfree s0\ncrowd-free last\n"

/* One size for each way of placing that allocators have. */
static void plan(struct plan *p)
{
    plan_at(p, "", "32", MANY(131072));
    plan_at(p, "", "257", MANY(1024));
    plan_at(p, "", "page", MANY(1024));
    plan_at(p, "", "2*page", MANY(512));
}

static enum finding judge_look(const struct seen *look, struct evidence *evidence)
{
    const struct model_event *event = &look->event;
    if (event->count_locked == UINT64_MAX) {
        say(evidence, "MADV_PAGEOUT does not tell here whether pages are locked");
        return FINDING_UNSEEN;
    }
    note_number(evidence, "whole_max", event->count_good);
    note_number(evidence, "locked_max", event->count_locked);
    if (event->count_good == event->count && event->count_locked == event->count)
        return FINDING_KEPT;
    say(evidence,
        "of %" PRIu64 " live secrets %" PRIu64 " hold what was planted and %" PRIu64 " are locked",
        event->count, event->count_good, event->count_locked);
    return FINDING_BROKEN;
}

/* VmLck must cover all bytes that are said to be locked. */
static bool too_little_locked(const struct case_run *run, const struct seen *crowd,
                              struct evidence *evidence)
{
    uint64_t live = crowd->event.count * crowd->event.size_bytes;
    uint64_t locked = crowd->locked_bytes - run->baseline_locked_bytes;
    note_number(evidence, "vmlck_bytes_max", locked);
    if (locked >= live)
        return false;
    say(evidence, "%" PRIu64 " bytes of secrets are alive, VmLck grew by %" PRIu64, live, locked);
    return true;
}

/* Secret bytes in memory that goes back to the kernel while many are freed. */
static uint64_t gone_windows(const struct seen *seen)
{
    bool going = seen->kind == SEEN_RELEASE && seen->operation.code == MODEL_CROWD_FREE;
    return going ? seen->bytes.dead_windows + seen->bytes.live_windows : 0;
}

static uint64_t gone_looks(const struct case_run *run)
{
    uint64_t looks = 0;
    for (size_t i = 0; i < run->count; i++)
        looks += gone_windows(&run->seen[i]) > 0;
    return looks;
}

/* What is left when all are freed, anywhere; or goes back to the kernel while they are. */
static bool left(const struct case_run *run, struct evidence *evidence)
{
    for (size_t i = 0; i < run->count; i++) {
        const struct seen *seen = &run->seen[i];
        bool stays = seen->kind == SEEN_RESIDUE && strcmp(seen->bytes.where, "registers") != 0;
        uint64_t windows = stays ? seen->bytes.dead_windows : gone_windows(seen);
        if (windows == 0)
            continue;
        say(evidence,
            "%" PRIu64 " runs of 8 secret bytes %s: in the %" PRIu64 " bytes at 0x%" PRIx64,
            windows,
            stays ? "left of many, all freed" : "when many were freed and memory given back",
            seen->bytes.size_bytes, seen->bytes.address);
        note_address(evidence, "address", seen->bytes.address);
        return true;
    }
    return false;
}

static bool overlap(const struct case_run *run, struct evidence *evidence)
{
    size_t at = 0;
    for (const struct seen *seen; (seen = next_seen(run, SEEN_VIOLATION, &at)) != NULL;)
        if (strcmp(seen->promise, "sizes") == 0) {
            say(evidence, "%s", seen->text);
            return true;
        }
    return false;
}

static enum finding judge(const struct case_run *run, struct evidence *evidence)
{
    const struct seen *crowd = last_operation(run, MODEL_CROWD);
    size_t at = 0;
    if (crowd == NULL || crowd->event.outcome == MODEL_SKIPPED || crowd->event.count == 0) {
        (void)refused(run, evidence);
        return FINDING_REFUSED;
    }
    note_number(evidence, "live_secrets_max", crowd->event.count);
    note_number(evidence, "left_sum", freed_looks(run, SEEN_RESIDUE));
    note_number(evidence, "gone_sum", gone_looks(run));
    if (overlap(run, evidence) || too_little_locked(run, crowd, evidence))
        return FINDING_BROKEN;
    for (const struct seen *seen; (seen = next_seen(run, SEEN_OPERATION, &at)) != NULL;) {
        if (seen->operation.code != MODEL_CROWD_LOOK)
            continue;
        enum finding finding = judge_look(seen, evidence);
        if (finding != FINDING_KEPT)
            return finding;
    }
    enum finding finding = worse(locks_kept(run, evidence), contents_kept(run, evidence));
    if (finding == FINDING_KEPT && left(run, evidence))
        return FINDING_BROKEN;
    if (finding == FINDING_KEPT)
        say(evidence, "all are whole and locked, and wiped; alloc said no where there was no more");
    return finding;
}

static bool controls(const struct evidence *positive, const struct evidence *negative, char *why,
                     size_t why_bytes)
{
    (void)negative;
    if (noted(positive, "left_sum", 0) == 0)
        (void)snprintf(why, why_bytes, "what the leaking control leaves of many was not seen");
    else if (noted(positive, "gone_sum", 0) == 0)
        (void)snprintf(why, why_bytes, "what the leaking control gives back was not seen");
    else
        return true;
    return false;
}

const struct promise promise_scale = {
    .id = "scale",
    .level = PROMISE_EXTRA,
    .statement = "The promises still hold with very many live secrets, or alloc says no.",
    .observed =
        "131,072 secrets of 32 bytes, 1,024 of 257 and of a page, and 512 of two pages are asked for, "
        "for two seconds at most; how many there were then, or when alloc said no, is reported. Each "
        "must be whole and locked (by MADV_PAGEOUT, with VmLck as second witness), none may "
        "overlap another; then every other one is freed and the rest looked at again; when all are "
        "freed no 8 bytes of any may be left in the process, nor have gone back to the kernel.",
    .in_practice =
        "The limit on locked memory, or on mappings (vm.max_map_count), is met and not "
        "noticed; a table of fixed length; a search that takes time by the square; wiping "
        "only what a table has room for.",
    .observers =
        OBSERVE_LOCKS | OBSERVE_MEMORY | OBSERVE_LIMIT | OBSERVE_PROCESS | OBSERVE_RELEASES,
    .slow = true,
    .plan = plan,
    .judge = judge,
    .controls = controls,
};
