/* SPDX-License-Identifier: MIT */
/* no-residue: after free, no copy of the secret is left anywhere in the process. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "suite/judge.h"

/* From 16 bytes on: nothing shorter than a window of 8 can be told from chance. */
static void plan(struct plan *p)
{
    static const char *const sizes[] = {"16",   "17",   "32",     "64",     "100",      "255",
                                        "1000", "page", "page-1", "page+1", "2*page+1", "16*page"};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        plan_at(p, "", sizes[i],
                "open\nalloc s0 n\nalloc s1 n\nfill s0 usable\nfill s1\ncheck s0\n"
                "protect s0 none\nprotect s0 read-write\nprotect s0 read\nprotect s0 read-write\n"
                "free s0\n"
                "alloc s2 n\nfill s2\nresize s2 2*n\ncheck s2\nresize s2 n\n"
                "resize s2 half\nresize s2 half-4095\nfree s2\n"
                "free s1\nclose\n");
}

/* Where a mapping belongs: its name in /proc/PID/maps. */
static const char *place_of(const char *map)
{
    const char *name = strrchr(map, ' ');
    if (strstr(map, "[stack]") != NULL)
        return "stack";
    if (strstr(map, "[heap]") != NULL)
        return "heap";
    return name != NULL && name[1] == '/' ? "file" : "mapping";
}

static void note_places(const struct case_run *run, struct evidence *evidence)
{
    uint64_t stack = 0, heap = 0, file = 0, mapping = 0, registers = 0;
    size_t at = 0;
    for (const struct seen *seen; (seen = next_seen(run, SEEN_RESIDUE, &at)) != NULL;) {
        if (seen->bytes.dead_windows == 0 || seen->text[0] == '\0')
            continue;
        const char *place = place_of(seen->text);
        if (strcmp(seen->bytes.where, "registers") == 0)
            registers++;
        else if (strcmp(place, "stack") == 0)
            stack++;
        else if (strcmp(place, "heap") == 0)
            heap++;
        else if (strcmp(place, "file") == 0)
            file++;
        else
            mapping++;
    }
    note_number(evidence, "copies_on_stack_sum", stack);
    note_number(evidence, "copies_on_heap_sum", heap);
    note_number(evidence, "copies_in_data_sum", file);
    note_number(evidence, "copies_in_mappings_sum", mapping);
    note_number(evidence, "copies_in_registers_sum", registers);
}

static enum finding judge(const struct case_run *run, struct evidence *evidence)
{
    const struct seen *copy = NULL;
    uint64_t looks = 0;
    size_t at = 0;
    if (refused(run, evidence))
        return FINDING_REFUSED;
    note_places(run, evidence);
    for (const struct seen *seen; (seen = next_seen(run, SEEN_RESIDUE, &at)) != NULL;) {
        if (strcmp(seen->bytes.where, "process") != 0)
            continue;
        looks += seen->good;
        if (copy == NULL && seen->bytes.dead_windows > 0)
            copy = seen;
    }
    if (copy != NULL) {
        char operation[96];
        say(evidence, "after `%s`, %" PRIu64 " runs of 8 of its bytes from 0x%" PRIx64 " on: %s",
            model_operation_print(&copy->operation, operation, sizeof operation),
            copy->bytes.dead_windows, copy->bytes.dead_address, copy->text);
        note_address(evidence, "address", copy->bytes.dead_address);
        note_text(evidence, "map", copy->text);
        return FINDING_BROKEN;
    }
    if (looks == 0) {
        say(evidence, "the memory of the process could not be searched");
        return FINDING_UNSEEN;
    }
    note_number(evidence, "searches_sum", looks);
    say(evidence, "no copy in any mapping of the process%s",
        noted(evidence, "copies_in_registers_sum", 0) > 0 ? "; some in vector registers" : "");
    return FINDING_KEPT;
}

static bool controls(const struct evidence *positive, const struct evidence *negative, char *why,
                     size_t why_bytes)
{
    static const char *const places[] = {"copies_on_stack_sum", "copies_on_heap_sum",
                                         "copies_in_data_sum", "copies_in_mappings_sum"};
    (void)negative;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (noted(positive, places[i], 0) == 0) {
            (void)snprintf(why, why_bytes, "the leaking control's %s are 0", places[i]);
            return false;
        }
    return true;
}

const struct promise promise_no_residue = {
    .id = "no-residue",
    .level = PROMISE_HARDENING,
    .statement = "After free, no copy of the secret is left anywhere in the process.",
    .observed =
        "After each free, and after close, all mappings of the process are searched at every byte "
        "for runs of 8 bytes of any secret that is dead: stacks, heap, data, buffers, pages "
        "without access. The subject runs 16 KiB further down the stack than the harness, so that "
        "what it leaves there is still there. Vector registers, as they are when free returns, "
        "are reported apart and judged by nobody: a plain memcpy leaves bytes in them.",
    .in_practice = "A buffer for encrypting at rest; a memmove by way of the stack; realloc's old "
                   "block; a cache of the last secret; a copy on an error path.",
    .observers = OBSERVE_PROCESS | OBSERVE_MEMORY,
    .plan = plan,
    .judge = judge,
    .controls = controls,
};
