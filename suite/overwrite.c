/* SPDX-License-Identifier: MIT */
/* overwrite.c: bytes past an end are changed: does that trap, or the free that follows catch it? */
#include "suite/overwrite.h"

#include <inttypes.h>
#include <stdio.h>

#include "suite/guard.h"
#include "suite/misuse.h"

static void overwrite_text(char *text, size_t text_bytes, const char *side, const char *count)
{
    (void)snprintf(text, text_bytes, MISUSE_THREE "smash s1 %s %s\nfree s1\n", side, count);
}

/* Where resize and alignment are offered: such a place has its ends too, and a shrunk one new ones. */
static void plan_other_ways(struct plan *p, const char *side)
{
    static const char *const sizes[] = {"page+1", "32", "100"};
    for (size_t i = 0; i < (plan_is_quick(p) ? 1 : sizeof sizes / sizeof *sizes); i++) {
        char text[192];
        (void)snprintf(text, sizeof text, MISUSE_THREE "resize s1 2*n\nsmash s1 %s 1\nfree s1\n",
                       side);
        plan_at(p, "resized", sizes[i], text);
        (void)snprintf(text, sizeof text,
                       MISUSE_THREE "resize s1 2*n\nresize s1 n\nsmash s1 %s 1\nfree s1\n", side);
        plan_at(p, "shrunk", sizes[i], text);
        /* The second alloc is for those that cannot align so. */
        (void)snprintf(text, sizeof text,
                       MISUSE_THREE
                       "free s1\nalloc-aligned s1 n 64\nalloc s1 n\nsmash s1 %s 1\nfree s1\n",
                       side);
        plan_at(p, "aligned", sizes[i], text);
    }
}

/* One byte, two (an even number of alike changes, which a sum may not see), one unit of alignment, and
 * all that can be reached up to a page. */
void overwrite_plan(struct plan *p, const char *side)
{
    char text[160];
    overwrite_text(text, sizeof text, side, "1");
    plan_sweep_as(p, "1-byte", text);
    overwrite_text(text, sizeof text, side, "2");
    plan_part_as(p, "2-bytes", text);
    overwrite_text(text, sizeof text, side, "16");
    plan_part_as(p, "16-bytes", text);
    overwrite_text(text, sizeof text, side, "page");
    plan_part_as(p, "page", text);
    plan_other_ways(p, side);
}

/* Of the bytes changed, those that were not the program's to change. */
static uint64_t bytes_beyond(const struct seen *smash)
{
    const struct model_event *event = &smash->event;
    uint64_t slack = smash->operation.arg == MODEL_AFTER && event->usable_bytes > event->size_bytes
                         ? event->usable_bytes - event->size_bytes
                         : 0;
    return event->distance_bytes > slack ? event->distance_bytes - slack : 0;
}

static enum finding judge_free(const struct seen *end, uint64_t beyond, struct evidence *evidence)
{
    if (end != NULL && end->event.outcome == MODEL_DIED) {
        note_number(evidence, "caught_bytes_min", beyond);
        note_text(evidence, "caught_by", misuse_caught_by(&end->event));
        say(evidence, "caught by a guard, or when the secret is freed");
        return FINDING_KEPT;
    }
    note_number(evidence, "uncaught_bytes_max", beyond);
    say(evidence, "%" PRIu64 " bytes were overwritten, and free returned as if nothing were wrong",
        beyond);
    return FINDING_BROKEN;
}

enum finding overwrite_judge(const struct case_run *run, struct evidence *evidence)
{
    const struct seen *smash = last_operation(run, MODEL_SMASH);
    const struct seen *end = last_operation(run, MODEL_FREE);
    if (smash == NULL && died(run, evidence))
        return FINDING_BROKEN;
    if (refused(run, evidence))
        return FINDING_REFUSED;
    if (smash == NULL || smash->event.outcome == MODEL_SKIPPED) {
        say(evidence, "nothing could be overwritten");
        return FINDING_UNSEEN;
    }
    note_address(evidence, "secret", smash->event.address);
    note_number(evidence, "size_bytes", smash->event.size_bytes);
    if (guard_trapped(&smash->event)) {
        note_number(evidence, "guard_bytes_min", smash->event.distance_bytes);
        note_number(evidence, "guard_bytes_max", smash->event.distance_bytes);
        say(evidence, "caught by a guard, or when the secret is freed");
        return FINDING_KEPT;
    }
    uint64_t beyond = bytes_beyond(smash);
    if (beyond > 0)
        return judge_free(end, beyond, evidence);
    if (smash->event.outcome == MODEL_TRAPPED) {
        say(evidence, "the trap is no guard: nothing is mapped there, by luck of the layout");
        return FINDING_BROKEN;
    }
    say(evidence, "what was overwritten is usable, as the subject says");
    return FINDING_REFUSED;
}
