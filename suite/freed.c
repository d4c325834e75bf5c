/* SPDX-License-Identifier: MIT */
/* freed.c: what was seen of freed memory. */
#include "suite/freed.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Secrets that came by other ways, where those are offered; none shorter than a window of 8. */
static void plan_other_ways(struct plan *p)
{
    static const char *const sizes[] = {"32", "257", "page+1", "3*page+17"};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        plan_at(p, "other-ways", sizes[i],
                "open\nalloc s0 n\nresize s0 2*n\nfill s0 usable\nfree s0\n"
                "alloc s0 2*n\nresize s0 n\nfill s0 usable\nfree s0\n"
                "alloc-aligned s1 n 64\nfill s1 usable\nfree s1\n");
}

/* Four rounds on s1, between two that stay, all usable bytes planted. */
void freed_plan(struct plan *p)
{
    plan_other_ways(p);
    plan_sweep(p, "open\n"
                  "alloc s0 n\nalloc s1 n\nalloc s2 n\n"
                  "fill s0\nfill s1 usable\nfill s2\n"
                  "free s1\n"
                  "alloc s1 n\nfill s1 usable\nfree s1\n"
                  "alloc s1 n\nfill s1 usable\nfree s1\n"
                  "alloc s1 n\nfill s1 usable\nfree s1\n"
                  "free s0\nfree s2\n");
}

static bool shows_freed_bytes(const struct seen *seen)
{
    return seen->kind == SEEN_BYTES || seen->kind == SEEN_RELEASE;
}

static void note_bytes(const struct seen *seen, struct evidence *evidence)
{
    note_text(evidence, "where", seen->bytes.where);
    note_address(evidence, "address", seen->bytes.address);
    note_number(evidence, "size_bytes", seen->bytes.size_bytes);
    note_number(evidence, "windows", seen->bytes.dead_windows);
    note_number(evidence, "op_index", seen->op_index);
}

static void say_leak(const struct seen *seen, struct evidence *evidence)
{
    const struct seen_bytes *bytes = &seen->bytes;
    say(evidence,
        "secret bytes left: %s%" PRIu64 " runs of 8, the first at 0x%" PRIx64 ", byte %" PRIu64
        " of the secret (%s %s)",
        bytes->dead_windows >= 4096 ? "over " : "", bytes->dead_windows, bytes->dead_address,
        bytes->dead_offset, seen->kind == SEEN_RELEASE ? "when given to" : "after", bytes->where);
    note_bytes(seen, evidence);
    note_address(evidence, "first", bytes->dead_address);
    note_number(evidence, "offset_in_secret", bytes->dead_offset);
}

/* Did all of a short secret stand in its place, at any look during its free? */
static const struct seen *short_whole(const struct case_run *run, uint32_t op_index)
{
    for (size_t i = 0; i < run->count; i++)
        if (run->seen[i].op_index == op_index && shows_freed_bytes(&run->seen[i]) &&
            run->seen[i].bytes.short_whole)
            return &run->seen[i];
    return NULL;
}

/* s1 is freed in each of the four rounds. Four bytes that still stand, over all rounds, are no
 * chance: 1 in 255^4 for each choice of rounds. */
static enum finding short_leak(const struct case_run *run, struct evidence *evidence)
{
    const struct seen *last = NULL;
    size_t at = 0;
    unsigned rounds = 0, bytes = 0;
    for (const struct seen *seen; (seen = next_seen(run, SEEN_OPERATION, &at)) != NULL;) {
        if (seen->operation.code != MODEL_FREE || seen->operation.slot != 1)
            continue;
        const struct seen *left = short_whole(run, seen->op_index);
        if (left == NULL)
            continue;
        last = left;
        rounds++;
        bytes += left->bytes.short_bytes;
    }
    if (bytes < 4)
        return FINDING_KEPT;
    say(evidence,
        "all %" PRIu32 " bytes of the secret left, in %u of 4 rounds, the last at 0x%" PRIx64,
        last->bytes.short_bytes, rounds, last->bytes.address);
    note_bytes(last, evidence);
    return FINDING_BROKEN;
}

enum finding freed_windows(const struct case_run *run, struct evidence *evidence)
{
    for (size_t i = 0; i < run->count; i++) {
        if (!shows_freed_bytes(&run->seen[i]) || run->seen[i].bytes.dead_windows == 0)
            continue;
        say_leak(&run->seen[i], evidence);
        return FINDING_BROKEN;
    }
    return FINDING_KEPT;
}

enum finding freed_leak(const struct case_run *run, struct evidence *evidence)
{
    enum finding finding = freed_windows(run, evidence);
    return finding == FINDING_KEPT ? short_leak(run, evidence) : finding;
}

enum finding freed_nonzero(const struct case_run *run, struct evidence *evidence)
{
    for (size_t i = 0; i < run->count; i++) {
        const struct seen *seen = &run->seen[i];
        if (!shows_freed_bytes(seen) || seen->operation.code != MODEL_FREE ||
            seen->bytes.place_nonzero == 0)
            continue;
        say(evidence, "%" PRIu64 " of %" PRIu64 " bytes at 0x%" PRIx64 " are not zero (%s)",
            seen->bytes.place_nonzero, seen->bytes.place_bytes, seen->bytes.address,
            seen->bytes.where);
        note_bytes(seen, evidence);
        note_number(evidence, "nonzero_bytes", seen->bytes.place_nonzero);
        return FINDING_BROKEN;
    }
    return FINDING_KEPT;
}

uint64_t freed_looks(const struct case_run *run, enum seen_kind kind)
{
    uint64_t count = 0;
    for (size_t i = 0; i < run->count; i++)
        count += run->seen[i].kind == kind && run->seen[i].bytes.dead_windows > 0;
    return count;
}

/* What these take away is not there any more when the operation returns. */
static bool takes_away(const struct seen *seen)
{
    return strcmp(seen->bytes.where, "munmap") == 0 || strcmp(seen->bytes.where, "brk") == 0;
}

/* Bytes of a slot's place seen during one operation: all the pieces that were given back together, or
 * what was there when it returned and what had been taken away. */
uint64_t freed_place_seen(const struct case_run *run, uint32_t op_index, unsigned slot)
{
    uint64_t given_back = 0, at_return = 0;
    for (size_t i = 0; i < run->count; i++) {
        const struct seen *seen = &run->seen[i];
        if (seen->op_index != op_index || seen->bytes.slot != slot)
            continue;
        if (seen->kind == SEEN_RELEASE)
            given_back += seen->bytes.place_bytes;
        if (seen->kind == SEEN_RELEASE && takes_away(seen))
            at_return += seen->bytes.place_bytes;
        else if (seen->kind == SEEN_BYTES)
            at_return += seen->bytes.place_bytes;
    }
    return given_back > at_return ? given_back : at_return;
}

enum finding freed_looked_at(const struct case_run *run, struct evidence *evidence)
{
    size_t at = 0;
    for (const struct seen *seen; (seen = next_seen(run, SEEN_OPERATION, &at)) != NULL;) {
        if (seen->operation.code != MODEL_FREE || seen->event.outcome != MODEL_OK ||
            freed_place_seen(run, seen->op_index, seen->operation.slot) >=
                seen->event.old_size_bytes)
            continue;
        say(evidence, "memory at 0x%" PRIx64 " was gone when free returned, and was not seen to go",
            seen->event.address);
        return FINDING_UNSEEN;
    }
    return FINDING_KEPT;
}
