/* SPDX-License-Identifier: MIT */
/* states: no access and read-only are enforced on every page, and can be taken back. */
#include "suite/freed.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

/* One byte on each page of s1: wherever it starts, steps of a page and its last byte meet all. */
static void add_touches(struct plan_text *text, const char *way, size_t pages)
{
    for (size_t i = 0; i < pages; i++)
        plan_text_add(text, "touch s1 inside %s %zu*page\n", way, i);
    plan_text_add(text, "touch s1 inside %s n-1\n", way);
}

/* `touch inside` beyond the end of a smaller one is skipped. */
static void plan_size(struct plan *p, const struct model_size *n)
{
    static struct plan_text text;
    char size[24];
    size_t pages =
        model_size_bytes(*n, (size_t)sysconf(_SC_PAGESIZE)) / (size_t)sysconf(_SC_PAGESIZE) + 1;
    text.length = 0;
    plan_text_add(&text, "open\nalloc s0 n\nalloc s1 n\nalloc s2 n\nfill s0\nfill s1\nfill s2\n");
    plan_text_add(&text, "protect s1 read\ncheck s1\n");
    add_touches(&text, "read", 1);
    add_touches(&text, "write", pages);
    plan_text_add(&text, "protect s1 none\n");
    add_touches(&text, "read", pages);
    add_touches(&text, "write", 1);
    plan_text_add(&text,
                  "touch s0 inside write n-1\ntouch s2 inside write 0\ncheck s0\ncheck s2\n");
    plan_text_add(&text, "protect s1 read-write\ncheck s1\n");
    add_touches(&text, "write", pages);
    plan_text_add(&text, "protect s1 none\nprotect s1 read\ncheck s1\n");
    add_touches(&text, "write", 1);
    plan_text_add(&text, "free s2\nfree s1\ncheck s0\n");
    /* a place used before, resized where that is offered, and freed without access */
    plan_text_add(&text, "alloc s1 n\nfill s1\nresize s1 2*n\nprotect s1 none\n");
    add_touches(&text, "read", pages);
    plan_text_add(&text, "alloc s2 n\nfill s2\nresize s2 2*n\nfree s2\nfree s1\ncheck s0\n");
    /* and one that was asked for with an alignment, or once more where that cannot be */
    plan_text_add(&text, "alloc-aligned s1 n 64\nalloc s1 n\nfill s1\nprotect s1 none\n");
    add_touches(&text, "read", pages);
    plan_text_add(&text, "protect s1 read-write\ncheck s1\nfree s1\n");
    plan_at(p, "", model_size_print(*n, size, sizeof size), text.bytes);
}

static void plan(struct plan *p)
{
    size_t count;
    const struct model_size *sizes = plan_sizes(&count);
    for (size_t i = 0; i < count; i++)
        plan_size(p, &sizes[i]);
}

static const char *access_name(unsigned access)
{
    return access == SECRET_ACCESS_NONE ? "no access" : "read-only";
}

/* May s1, or a neighbour, be touched so in the state that it is in? */
static bool may_touch(const struct model_operation *touch, unsigned access)
{
    if (touch->slot != 1 || access == SECRET_ACCESS_READ_WRITE)
        return true;
    return access == SECRET_ACCESS_READ && (touch->arg & MODEL_TOUCH_WRITE) == 0;
}

static enum finding judge_touch(const struct seen *seen, unsigned access, struct evidence *evidence)
{
    const struct model_event *event = &seen->event;
    bool trapped = event->outcome == MODEL_TRAPPED;
    const char *way = (seen->operation.arg & MODEL_TOUCH_WRITE) != 0 ? "written" : "read";
    if (trapped != may_touch(&seen->operation, access))
        return FINDING_KEPT;
    if (trapped)
        say(evidence, "byte %" PRIu64 " of %s cannot be %s: trap at 0x%" PRIx64,
            event->distance_bytes,
            seen->operation.slot == 1 ? "a secret that is given back" : "another secret", way,
            event->trap_address);
    else
        say(evidence,
            "byte %" PRIu64 " of %" PRIu64 " can be %s though the secret at 0x%" PRIx64 " is %s",
            event->distance_bytes, event->size_bytes, way, event->address, access_name(access));
    note_address(evidence, "secret", event->address);
    note_number(evidence, "offset", event->distance_bytes);
    return FINDING_BROKEN;
}

static enum finding judge_touches(const struct case_run *run, struct evidence *evidence)
{
    unsigned access = SECRET_ACCESS_READ_WRITE;
    uint64_t touches = 0;
    size_t at = 0;
    for (const struct seen *seen; (seen = next_seen(run, SEEN_OPERATION, &at)) != NULL;) {
        if (seen->event.outcome == MODEL_SKIPPED)
            continue;
        if (seen->operation.code == MODEL_PROTECT && seen->event.outcome == MODEL_REFUSED) {
            say(evidence, "protect said no");
            return FINDING_REFUSED;
        }
        if (seen->operation.code == MODEL_ALLOC && seen->operation.slot == 1)
            access = SECRET_ACCESS_READ_WRITE;
        if (seen->operation.code == MODEL_PROTECT)
            access = seen->operation.arg;
        if (seen->operation.code != MODEL_TOUCH)
            continue;
        touches++;
        if (judge_touch(seen, access, evidence) == FINDING_BROKEN)
            return FINDING_BROKEN;
    }
    note_number(evidence, "touches_sum", touches);
    return FINDING_KEPT;
}

/* What was seen in the looks during one operation, all together. */
static struct seen_bytes seen_during(const struct case_run *run, const struct seen *operation)
{
    struct seen_bytes sum = {0};
    for (size_t i = 0; i < run->count; i++) {
        const struct seen *seen = &run->seen[i];
        if ((seen->kind != SEEN_BYTES && seen->kind != SEEN_RELEASE) ||
            seen->op_index != operation->op_index)
            continue;
        sum.dead_windows += seen->bytes.dead_windows;
        sum.place_nonzero += seen->bytes.place_nonzero;
    }
    return sum;
}

static bool shows(const struct case_run *run, const struct seen *freed)
{
    return seen_during(run, freed).dead_windows > 0;
}

/* Looked at whole, and all of it zero: that no piece of a secret was recognised would be too little. */
static bool seen_wiped(const struct case_run *run, const struct seen *freed)
{
    return freed_place_seen(run, freed->op_index, freed->operation.slot) >=
               freed->event.old_size_bytes &&
           seen_during(run, freed).place_nonzero == 0 && !shows(run, freed);
}

/* Something was left of s1, freed without access, and nothing of s2, freed just before, which was as long, could be
 * written to and was looked at whole. (A resize that was refused leaves a shorter one.) */
static bool wiped_only_with_access(const struct case_run *run)
{
    size_t at = 0;
    const struct seen *with = NULL;
    for (const struct seen *seen; (seen = next_seen(run, SEEN_OPERATION, &at)) != NULL;) {
        if (seen->operation.code != MODEL_FREE || seen->event.outcome != MODEL_OK)
            continue;
        if (seen->operation.slot == 2)
            with = seen;
        else if (seen->operation.slot == 1 && shows(run, seen) && with != NULL &&
                 with->event.old_size_bytes == seen->event.old_size_bytes && seen_wiped(run, with))
            return true;
    }
    return false;
}

static enum finding judge(const struct case_run *run, struct evidence *evidence)
{
    if (refused(run, evidence))
        return FINDING_REFUSED;
    note_number(evidence, "left_sum",
                freed_looks(run, SEEN_BYTES) + freed_looks(run, SEEN_RELEASE));
    note_number(evidence, "left_on_the_way_out_sum", freed_looks(run, SEEN_RELEASE));
    enum finding finding = judge_touches(run, evidence);
    if (finding == FINDING_KEPT)
        finding = contents_kept(run, evidence);
    if (finding == FINDING_KEPT && wiped_only_with_access(run))
        finding = freed_windows(run, evidence);
    if (finding == FINDING_KEPT)
        say(evidence, "enforced on every page, taken back, and the bytes kept");
    return finding;
}

/* What the leaking control leaves of a freed secret was seen, in place or when its pages went. */
static bool controls(const struct evidence *positive, const struct evidence *negative, char *why,
                     size_t why_bytes)
{
    (void)negative;
    if (noted(positive, "left_on_the_way_out_sum", 0) > 0 && noted(positive, "left_sum", 0) > 0)
        return true;
    (void)snprintf(why, why_bytes, "what the leaking control leaves of a secret was not seen");
    return false;
}

const struct promise promise_states = {
    .id = "states",
    .level = PROMISE_HARDENING,
    .statement =
        "No access and read-only are enforced by the MMU on every page of a secret, and can "
        "be taken back with its bytes kept.",
    .observed = "The middle one of three secrets of each size is made read-only, inaccessible and "
                "writable again. In each state one byte on each of its pages, and its last one, is "
                "read and written by the case itself; what is not allowed must trap, what is must "
                "not. Its bytes and the others' are compared; it is freed while read-only, and one "
                "that was resized while inaccessible; both are wiped if one that is writable is.",
    .in_practice =
        "mprotect of the requested length from the pointer's page on, which leaves out the "
        "last page; a count of nested states that comes out wrong; a state kept in a "
        "flag and not asked of the MMU; a free that crashes on a read-only secret.",
    .observers = OBSERVE_TRAPS | OBSERVE_MEMORY | OBSERVE_RELEASES,
    .entries = MODEL_ENTRY_PROTECT,
    .plan = plan,
    .judge = judge,
    .controls = controls,
};
