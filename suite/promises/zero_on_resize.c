/* SPDX-License-Identifier: MIT */
/* zero-on-resize: a grown, shrunk or moved secret leaves no copy and no tail behind. */
#include "suite/freed.h"

#include <inttypes.h>
#include <stdio.h>

#define SHORT_BYTES 16u /* half of less is too short to be told from chance */

/* Four, so that a short one is not judged by chance; each has another close behind it. */
#define GROW(slot) "resize s" #slot " 2*n\ncheck s" #slot "\n"

static void plan_long(struct plan *p, const char *prefix, const char *text)
{
    size_t count;
    const struct model_size *sizes = plan_sizes(&count);
    for (size_t i = 0; i < count; i++) {
        char label[48], size[24];
        bool is_short = sizes[i].kind == MODEL_SIZE_RAW && sizes[i].value < (int)SHORT_BYTES;
        if (is_short || i % 2 != 0)
            continue;
        (void)snprintf(label, sizeof label, "%s n=%s", prefix,
                       model_size_print(sizes[i], size, sizeof size));
        plan_case(p, label, text, &sizes[i]);
    }
}

static void plan(struct plan *p)
{
    plan_sweep_as(p, "grow",
                  "open\nalloc s0 n\nalloc s1 n\nalloc s2 n\nalloc s3 n\nalloc s4 n\n"
                  "fill s0 usable\nfill s1 usable\nfill s2 usable\nfill s3 usable\nfill s4\n" GROW(
                      0) GROW(1) GROW(2) GROW(3) "check s4\n");
    plan_long(p, "grow-far",
              "open\nalloc s0 n\nalloc s1 n\nfill s0 usable\nfill s1\n"
              "resize s0 72*page\ncheck s0\ncheck s1\n");
    plan_long(p, "shrink",
              "open\nalloc s0 2*n\nalloc s1 n\nfill s0 usable\nfill s1\n"
              "resize s0 n\ncheck s0\ncheck s1\n");
    /* the second alloc is for those that cannot align so */
    plan_long(p, "aligned",
              "open\nalloc-aligned s0 n 64\nalloc s0 n\nalloc s1 n\nfill s0 usable\nfill s1\n"
              "resize s0 2*n\ncheck s0\ncheck s1\n");
    plan_long(p, "shrink-far",
              "open\nalloc s0 n\nalloc s1 n\nfill s0 usable\nfill s1\n"
              "resize s0 1\ncheck s0\ncheck s1\n");
}

static const struct seen *resize_next(const struct case_run *run, size_t *at)
{
    const struct seen *seen;
    while ((seen = next_seen(run, SEEN_OPERATION, at)) != NULL)
        if (seen->operation.code == MODEL_RESIZE && seen->event.outcome != MODEL_SKIPPED)
            return seen;
    return NULL;
}

static bool short_left(const struct case_run *run, uint32_t op_index)
{
    for (size_t i = 0; i < run->count; i++)
        if (run->seen[i].op_index == op_index && run->seen[i].bytes.short_whole)
            return true;
    return false;
}

/* Every resize of a secret shorter than a window left all of it. */
static enum finding shorts_left(const struct case_run *run, struct evidence *evidence)
{
    unsigned count = 0;
    size_t at = 0;
    for (const struct seen *seen; (seen = resize_next(run, &at)) != NULL; count++)
        if (!short_left(run, seen->op_index))
            return FINDING_KEPT;
    if (count < 4)
        return FINDING_KEPT;
    say(evidence, "the old copy is left whole, after each of %u resizes", count);
    return FINDING_BROKEN;
}

static bool resized_once(const struct case_run *run)
{
    size_t at = 0;
    for (const struct seen *seen; (seen = resize_next(run, &at)) != NULL;)
        if (seen->event.outcome == MODEL_OK)
            return true;
    return false;
}

/* A place that is gone and was not seen to go was moved, with its pages, by mremap: nothing is left
 * there. Whoever gives memory back unseen takes the observer's place in run->observers with him. */
static enum finding judge(const struct case_run *run, struct evidence *evidence)
{
    if (!resized_once(run)) {
        if (!refused(run, evidence))
            say(evidence, "resize said no");
        return FINDING_REFUSED;
    }
    enum finding finding = freed_windows(run, evidence);
    if (finding == FINDING_KEPT)
        finding = shorts_left(run, evidence);
    if (finding == FINDING_KEPT)
        finding = contents_kept(run, evidence);
    if (finding == FINDING_KEPT)
        say(evidence, "no copy, no tail, and what was to be kept is whole");
    return finding;
}

const struct promise promise_zero_on_resize = {
    .id = "zero-on-resize",
    .level = PROMISE_CORE,
    .statement = "A grown, shrunk or moved secret leaves no copy and no tail behind.",
    .observed = "Secrets are planted, all usable bytes of them, and resized: to twice and half the "
                "size, to many pages, to one byte. The place where they no longer are is searched "
                "when resize returns, slack behind a shrunk one included, and when memory is given "
                "back on the way. The first min(old, new) bytes must be whole.",
    .in_practice = "realloc; a copy to the new place and a free of the old one by a path that does "
                   "not wipe; a tail that stays because the block is not given back; mremap that "
                   "cuts off pages as they are.",
    .observers = OBSERVE_RELEASES | OBSERVE_MEMORY,
    .entries = MODEL_ENTRY_RESIZE,
    .plan = plan,
    .judge = judge,
};
