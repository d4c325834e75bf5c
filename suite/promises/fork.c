/* SPDX-License-Identifier: MIT */
/* fork: a child cannot read the secret, and the parent's is untouched. */
#include "suite/judge.h"

#include <inttypes.h>
#include <stdio.h>

/* Four secrets, so that a short one is not judged by chance. */
#define SECRETS                                        \
    "open\n"                                           \
    "alloc s0 n\nalloc s1 n\nalloc s2 n\nalloc s3 n\n" \
    "fill s0\nfill s1\nfill s2\nfill s3\nlook s1\n"
/* A place that is used again, beside others; and to a secret, where they are offered. */
#define OTHER_WAYS                                                                                         \
    "free s1\nalloc s1 n\nfill s1\nfree s3\nalloc s3 n\nfill s3\nprotect s0 none\nprotect s0 read-write\n" \
    "resize s1 2*n\nfree s2\nalloc-aligned s2 n 64\nfill s2\nlook s1\n"
#define UNTOUCHED "check s0\ncheck s1\ncheck s2\ncheck s3\nlook s1\n"

static void plan(struct plan *p)
{
    plan_sweep(p, SECRETS "fork libc\n" UNTOUCHED OTHER_WAYS "fork raw\n" UNTOUCHED
                          "fork libc use\n" UNTOUCHED);
}

/* Each child must have shown itself: one that ended before could not be looked at. */
static bool child_unseen(const struct case_run *run)
{
    size_t at = 0;
    for (const struct seen *seen; (seen = next_seen(run, SEEN_OPERATION, &at)) != NULL;) {
        bool shown = seen->operation.code != MODEL_FORK || seen->event.outcome != MODEL_OK;
        for (size_t i = 0; i < run->count && !shown; i++)
            shown = run->seen[i].kind == SEEN_CHILD && run->seen[i].op_index == seen->op_index;
        if (!shown)
            return true;
    }
    return false;
}

static enum finding child_reads(const struct case_run *run, struct evidence *evidence)
{
    unsigned looked = 0, shorts = 0, whole = 0;
    size_t at = 0;
    for (const struct seen *seen; (seen = next_seen(run, SEEN_CHILD, &at)) != NULL;) {
        const struct seen_bytes *bytes = &seen->bytes;
        if (!seen->good) {
            say(evidence, "the memory of a forked child could not be read");
            return FINDING_UNSEEN;
        }
        looked++;
        shorts += bytes->short_bytes != 0;
        whole += bytes->short_whole;
        if (bytes->live_windows == 0)
            continue;
        say(evidence,
            "a child (%s) reads the secret: %" PRIu64 " of its %" PRIu64
            " bytes' runs of 8 at 0x%" PRIx64,
            seen->operation.arg & MODEL_FORK_RAW ? "raw clone" : "fork", bytes->live_windows,
            bytes->size_bytes, bytes->address);
        note_address(evidence, "address", bytes->address);
        note_number(evidence, "windows", bytes->live_windows);
        note_number(evidence, "long_secrets_sum", 1);
        note_number(evidence, "read_in_child_sum", 1);
        return FINDING_BROKEN;
    }
    if (shorts > 0 && whole == shorts) {
        say(evidence, "a child reads every short secret whole (%u of %u)", whole, shorts);
        return FINDING_BROKEN;
    }
    note_number(evidence, "long_secrets_sum", shorts == 0);
    if (looked > 0 && !child_unseen(run))
        return FINDING_KEPT;
    say(evidence, looked == 0 ? "no child could be made" : "a child ended before it was looked at");
    return FINDING_UNSEEN;
}

/* A child that used the allocator as its flags allow must have come to its end. */
static enum finding child_ended(const struct case_run *run, struct evidence *evidence)
{
    size_t at = 0;
    for (const struct seen *seen; (seen = next_seen(run, SEEN_OPERATION, &at)) != NULL;) {
        if (seen->operation.code != MODEL_FORK || seen->event.outcome != MODEL_OK)
            continue;
        if (seen->event.signal == 0 && seen->event.count == 0)
            continue;
        say(evidence, "a child that did what the subject says it may ended with %s %" PRIu64,
            seen->event.signal != 0 ? "signal" : "status",
            seen->event.signal != 0 ? (uint64_t)seen->event.signal : seen->event.count);
        return FINDING_BROKEN;
    }
    return FINDING_KEPT;
}

static enum finding judge(const struct case_run *run, struct evidence *evidence)
{
    if (refused(run, evidence))
        return FINDING_REFUSED;
    enum finding finding = child_reads(run, evidence);
    if (finding == FINDING_KEPT)
        finding = child_ended(run, evidence);
    if (finding == FINDING_KEPT)
        finding = contents_kept(run, evidence);
    if (finding == FINDING_KEPT)
        finding = locks_as_before(run, evidence);
    if (finding == FINDING_KEPT)
        say(evidence,
            "absent or wiped in the child, by fork and raw clone; the parent's untouched");
    return finding;
}

/* The leaking control breaks more than this: that its secrets are read in a child must be seen. */
static bool controls(const struct evidence *positive, const struct evidence *negative, char *why,
                     size_t why_bytes)
{
    (void)negative;
    uint64_t read = noted(positive, "read_in_child_sum", 0);
    uint64_t due = noted(positive, "long_secrets_sum", 0);
    if (due > 0 && read == due)
        return true;
    (void)snprintf(why, why_bytes,
                   "the leaking control's secrets were seen in a child in %" PRIu64 " of %" PRIu64
                   " cases only",
                   read, due);
    return false;
}

const struct promise promise_fork = {
    .id = "fork",
    .level = PROMISE_HARDENING,
    .statement =
        "A child, by fork or raw clone, cannot read the secret; the parent's is untouched; "
        "what the child may do with the allocator is as documented.",
    .observed =
        "Children are made by fork() and by a raw clone, which runs no atfork handlers. "
        "Each passes a descriptor of its own memory over, which is searched at the places "
        "of all live secrets, inaccessible pages too. Before the second one secret is "
        "freed and allocated anew and, where that is offered, resized, another made inaccessible and "
        "writable again, and one asked for with an alignment. A third child allocates and frees as "
        "the subject's flags allow. The parent's bytes and locks are looked at after each.",
    .in_practice = "No MADV_WIPEONFORK or MADV_DONTFORK; an advice whose failure is ignored, as on "
                   "memfd_secret; wiping by an atfork handler, which a raw clone does not run.",
    .observers = OBSERVE_CHILDREN | OBSERVE_MEMORY | OBSERVE_LOCKS,
    .plan = plan,
    .judge = judge,
    .controls = controls,
};
