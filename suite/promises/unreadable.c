/* SPDX-License-Identifier: MIT */
/* unreadable: another process, root included, cannot read the secret. */
#include <inttypes.h>
#include <stdio.h>

#include "suite/judge.h"

static void plan(struct plan *p)
{
    plan_part_as(p, "",
                 "open\nalloc s0 n\nalloc s1 n\nfill s0\nfill s1\nlook s0\ncheck s0\n"
                 "free s0\nalloc s0 n\nfill s0\nlook s0\ncheck s0\nlook s1\ncheck s1\n");
    plan_part_as(p, "refused",
                 "open\nalloc s0 n\nfill s0\nlook s0\nfail memfd-secret 1 EMFILE on\n"
                 "alloc s1 n\nfill s1\nlook s1\ncheck s1\nheal\n");
}

static enum finding judge(const struct case_run *run, struct evidence *evidence)
{
    uint64_t looks = 0, checked = 0;
    size_t at = 0;
    for (const struct seen *seen; (seen = next_seen(run, SEEN_OUTSIDE, &at)) != NULL; looks++) {
        const struct seen_bytes *bytes = &seen->bytes;
        if (bytes->place_bytes == 0)
            continue;
        say(evidence, "%" PRIu64 " of %" PRIu64 " bytes at 0x%" PRIx64 " were read by %s",
            bytes->place_bytes, bytes->size_bytes, bytes->address, bytes->where);
        note_address(evidence, "address", bytes->address);
        return FINDING_BROKEN;
    }
    if (refused(run, evidence))
        return FINDING_REFUSED;
    /* That nothing could be read proves something only where the secret is seen to be there. */
    at = 0;
    for (const struct seen *seen; (seen = next_seen(run, SEEN_CHECK, &at)) != NULL;)
        checked += seen->good;
    if (looks == 0 || checked < looks) {
        say(evidence, "nothing could be read from outside, nor could the process show its secret: "
                      "the claim `unreadable` has it lend a hand");
        return FINDING_UNSEEN;
    }
    say(evidence, "read by the process itself, and by nobody through /proc/PID/mem");
    return FINDING_KEPT;
}

/* Where memfd_secret is made to fail, the control must have said no: else no failure was felt. */
static bool controls(const struct evidence *positive, const struct evidence *negative, char *why,
                     size_t why_bytes)
{
    (void)positive;
    if (negative->refused > 0)
        return true;
    (void)snprintf(why, why_bytes,
                   "memfd_secret was made to fail, and the control did not feel it");
    return false;
}

const struct promise promise_unreadable = {
    .id = "unreadable",
    .level = PROMISE_EXTRA,
    .statement = "Another process, root included, cannot read the secret (memfd_secret(2)).",
    .observed =
        "The place of each live secret, of each size, when it is used again and where "
        "memfd_secret is refused meanwhile, is read "
        "through /proc/PID/mem by the supervisor, which reads all other memory of the case "
        "so. That it holds the secret is seen by a thread of the case that reads it for the "
        "supervisor: a reader that is blind does not pass.",
    .in_practice =
        "Ordinary memory where memfd_secret is refused (RLIMIT_MEMLOCK, a kernel without "
        "it) and nobody said so; a copy in ordinary memory.",
    .observers = OBSERVE_SECRETMEM | OBSERVE_MEMORY | OBSERVE_FAULTS,
    .negative = "secretmem",
    .plan = plan,
    .judge = judge,
    .controls = controls,
};
