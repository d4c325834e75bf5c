/* SPDX-License-Identifier: MIT */
/* fault-hygiene: with any memory or entropy call failing: no crash, no weaker memory, no lost quota. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "contract/strongroom.h"
#include "suite/freed.h"
#include "suite/guard.h"

#define NTH_MAX 5u /* of each kind of call, within one alloc, resize and free */

/* The errnos that the man page of a call gives for what a caller cannot prevent. */
static const struct {
    const char *call, *errnos[3];
} kinds[] = {
    {"lock", {"ENOMEM", "EAGAIN", "EPERM"}},      {"mmap", {"ENOMEM", "EAGAIN", "EPERM"}},
    {"mprotect", {"ENOMEM", "EACCES", "EINVAL"}}, {"madvise", {"EAGAIN", "ENOMEM", "EINVAL"}},
    {"munmap", {"ENOMEM", "EINVAL", "ENOMEM"}},   {"munlock", {"ENOMEM", "EAGAIN", "EINVAL"}},
    {"getrandom", {"EAGAIN", "ENOSYS", "EINTR"}},
};

/* s0 was there before, s1 comes and goes under the fault, s2 comes after it. */
static void add_fault(struct plan_text *text, const char *call, unsigned nth, const char *error,
                      const char *on)
{
    const char *child = strcmp(call, "madvise") == 0 ? "fork raw\n" : "";
    plan_text_add(text, "fail %s %u %s%s\n", call, nth, error, on);
    plan_text_add(text,
                  "alloc s1 n\nlook s1\nfill s1\nwalk s1 after page\n%s"
                  "resize s1 2*n\ncheck s1\nlook s1\nwalk s1 after page\n%sfree s1\n",
                  child, child);
    plan_text_add(text, "heal\ncheck s0\nalloc s2 n\nlook s2\nfill s2\nfree s2\n");
}

/* A secret that is said to be out of reach must be, and must come back. */
static void add_protect(struct plan_text *text)
{
    static const char *const accesses[] = {"none", "read"};
    for (size_t i = 0; i < 2; i++)
        plan_text_add(text,
                      "fail mprotect 1 ENOMEM on\nprotect s0 %s\ntouch s0 inside write 0\nheal\n"
                      "protect s0 read-write\ncheck s0\n",
                      accesses[i]);
}

/* Each errno once and from then on, at the first call; the calls after that with one of them. */
static void plan_use(struct plan *p, size_t kind, const char *size)
{
    static struct plan_text text;
    const char *call = kinds[kind].call;
    text.length = 0;
    /* how many fit, before; then, where it can be closed, from a new start with nothing in reserve */
    plan_text_add(&text, "limit 8*page\nopen\ncrowd n full\ncrowd-free first\nclose\nopen\n");
    plan_text_add(&text, "alloc s0 n\nfill s0\n");
    for (size_t i = 0; i < 3; i++) {
        add_fault(&text, call, 1, kinds[kind].errnos[i], "");
        if (strcmp(kinds[kind].errnos[i], "EINTR") != 0) /* for ever: to be tried again for ever */
            add_fault(&text, call, 1, kinds[kind].errnos[i], " on");
    }
    if (strcmp(call, "lock") ==
        0) /* mlock(2) over a range that is partly bad is charged, and fails */
        for (unsigned nth = 1; nth <= 2; nth++)
            add_fault(&text, call, nth, "ENOMEM", nth == 1 ? " after" : " after on");
    for (unsigned nth = 2; nth <= NTH_MAX; nth++)
        add_fault(&text, call, nth, kinds[kind].errnos[nth % 3], nth % 2 != 0 ? " on" : "");
    if (strcmp(call, "mprotect") == 0)
        add_protect(&text);
    plan_text_add(&text, "look s0\nfree s0\ncrowd n full\ncrowd-free first\n");
    plan_at(p, call, size, text.bytes);
}

/* Where an allocator takes all its memory, or its keys, when it is opened. */
static void plan_open(struct plan *p, size_t kind)
{
    static struct plan_text text;
    char label[48];
    text.length = 0;
    for (unsigned nth = 1; nth <= 3; nth++) {
        plan_text_add(&text, "fail %s %u %s\nopen\nheal\nopen\n", kinds[kind].call, nth,
                      kinds[kind].errnos[nth % 3]);
        plan_text_add(&text, "alloc s0 32\nfill s0\nlook s0\ncheck s0\nfree s0\nclose\n");
    }
    (void)snprintf(label, sizeof label, "%s at open", kinds[kind].call);
    plan_case(p, label, text.bytes, NULL);
}

static void plan(struct plan *p)
{
    static const char *const sizes[] = {"256", "page", "page+1"};
    for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
        for (size_t i = plan_is_quick(p) ? 2 : 0; i < sizeof sizes / sizeof *sizes; i++)
            if (strcmp(kinds[kind].call, "getrandom") != 0)
                plan_use(p, kind, sizes[i]);
        plan_open(p, kind);
    }
}

/* What the walk through one case has come to. */
struct faults {
    unsigned struck, felt;      /* faults that hit a call; operations that said no for it */
    bool failing, first_failed; /* faults are set; the first secret was refused without one */
    uint64_t fits[2], fulls;    /* how many fit before and after */
    const struct seen *last;    /* the last fault that struck */
    const struct seen *refused; /* with no fault set any more */
};

static bool asks(unsigned code)
{
    return code == MODEL_OPEN || code == MODEL_ALLOC || code == MODEL_RESIZE;
}

static void faults_operation(struct faults *faults, const struct seen *seen)
{
    bool no = seen->event.outcome == MODEL_REFUSED && asks(seen->operation.code);
    if (seen->operation.code == MODEL_FAIL || seen->operation.code == MODEL_HEAL)
        faults->failing = seen->operation.code == MODEL_FAIL;
    if (seen->operation.code == MODEL_CROWD && faults->fulls < 2)
        faults->fits[faults->fulls++] = seen->event.count;
    if (no && faults->failing)
        faults->felt++;
    else if (no && faults->struck == 0)
        faults->first_failed = true;
    else if (no && faults->refused == NULL)
        faults->refused = seen;
}

static struct faults faults_of(const struct case_run *run)
{
    struct faults faults = {0};
    for (size_t i = 0; i < run->count; i++) {
        const struct seen *seen = &run->seen[i];
        if (seen->kind == SEEN_OPERATION && seen->event.outcome != MODEL_SKIPPED)
            faults_operation(&faults, seen);
        if (seen->kind != SEEN_FAULT)
            continue;
        faults.struck++;
        if (faults.refused == NULL)
            faults.last = seen;
    }
    return faults;
}

static bool faults_skipped(const struct case_run *run)
{
    const struct seen *fail = last_operation(run, MODEL_FAIL);
    return fail == NULL || fail->event.outcome != MODEL_OK;
}

/* The fault that struck last before an operation. */
static const char *fault_before(const struct case_run *run, uint32_t op_index)
{
    const char *text = "no fault";
    for (size_t i = 0; i < run->count && run->seen[i].op_index <= op_index; i++)
        if (run->seen[i].kind == SEEN_FAULT)
            text = run->seen[i].text;
    return text;
}

static bool guard_lost(const struct case_run *run, struct evidence *evidence)
{
    const struct seen *lost = NULL;
    uint64_t without = 0;
    size_t at = 0;
    for (const struct seen *seen; (seen = next_seen(run, SEEN_OPERATION, &at)) != NULL;) {
        if (seen->operation.code != MODEL_WALK || seen->event.outcome == MODEL_SKIPPED ||
            guard_trapped(&seen->event))
            continue;
        lost = lost == NULL ? seen : lost;
        without++;
    }
    note_number(evidence, "unguarded_sum", without);
    if (lost == NULL || !variant_claims(run->variant, "guard-after"))
        return false;
    say(evidence, "%s, and a secret was handed out without the guard that is claimed",
        fault_before(run, lost->op_index));
    return true;
}

/* Advices are refused too: what keeps a secret out of core files and children, where claimed. */
static bool advice_lost(const struct case_run *run, struct evidence *evidence)
{
    const struct seen *dumped = NULL, *inherited = NULL;
    uint64_t dumped_looks = 0, children = 0;
    for (size_t i = 0; i < run->count; i++) {
        const struct seen *seen = &run->seen[i];
        bool reads = seen->kind == SEEN_CHILD && seen->bytes.live_windows > 0;
        bool dumps = seen->kind == SEEN_LOCKS && seen->good && seen->locks.first_dumped != 0;
        dumped = dumps && dumped == NULL ? seen : dumped;
        inherited = reads && inherited == NULL ? seen : inherited;
        dumped_looks += dumps;
        children += reads;
    }
    note_number(evidence, "dumped_sum", dumped_looks);
    note_number(evidence, "children_that_read_sum", children);
    dumped = variant_claims(run->variant, "no-dump") ? dumped : NULL;
    inherited = variant_claims(run->variant, "fork") ? inherited : NULL;
    if (dumped != NULL)
        say(evidence, "%s, and the secret at 0x%" PRIx64 " would be dumped: %s",
            fault_before(run, dumped->op_index), dumped->event.address, dumped->locks.dumped_map);
    else if (inherited != NULL)
        say(evidence, "%s, and a child reads the secret at 0x%" PRIx64,
            fault_before(run, inherited->op_index), inherited->bytes.address);
    return dumped != NULL || inherited != NULL;
}

/* Said to be protected, and written to all the same. */
static bool protection_lost(const struct case_run *run, struct evidence *evidence)
{
    bool protected = false;
    size_t at = 0;
    for (const struct seen *seen; (seen = next_seen(run, SEEN_OPERATION, &at)) != NULL;) {
        if (seen->operation.code == MODEL_PROTECT)
        protected =
            seen->event.outcome == MODEL_OK && seen->operation.arg != SECRET_ACCESS_READ_WRITE;
        if (seen->operation.code != MODEL_TOUCH || seen->event.outcome != MODEL_OK || !protected)
            continue;
        say(evidence,
            "%s, and protect said that the secret at 0x%" PRIx64 " is out of reach: it is not",
            fault_before(run, seen->op_index), seen->event.address);
        return true;
    }
    return false;
}

static bool refused_badly(const struct case_run *run, struct evidence *evidence)
{
    size_t at = 0;
    for (const struct seen *seen; (seen = next_seen(run, SEEN_VIOLATION, &at)) != NULL;)
        if (strcmp(seen->promise, "sizes") == 0) {
            say(evidence, "%s, then: %.120s", fault_before(run, seen->op_index), seen->text);
            return true;
        }
    return false;
}

/* Memory, locks and guards while faults strike. */
static enum finding weaker(const struct case_run *run, struct evidence *evidence)
{
    bool guardless = guard_lost(run, evidence), adviceless = advice_lost(run, evidence);
    enum finding finding = guardless || adviceless ? FINDING_BROKEN : locks_kept(run, evidence);
    if (finding == FINDING_KEPT)
        finding = contents_kept(run, evidence);
    if (finding == FINDING_KEPT)
        finding = freed_windows(run, evidence);
    if (finding == FINDING_KEPT && (refused_badly(run, evidence) || protection_lost(run, evidence)))
        finding = FINDING_BROKEN;
    return finding;
}

/* Once faults have ceased. */
static enum finding quota_lost(const struct faults *faults, struct evidence *evidence)
{
    char operation[96];
    const char *fault = faults->last != NULL ? faults->last->text : "no fault";
    /* where two never fit beside each other, the second says nothing: what fits at the end does */
    bool two_fit = faults->fulls == 0 || faults->fits[0] >= 2;
    if (faults->refused != NULL && two_fit) {
        say(evidence, "%s; when calls work again `%s` still says no: %s", fault,
            model_operation_print(&faults->refused->operation, operation, sizeof operation),
            strerrorname_np(faults->refused->event.error));
        return FINDING_BROKEN;
    }
    if (faults->fulls == 2 && faults->fits[1] < faults->fits[0]) {
        say(evidence, "%" PRIu64 " secrets fit before the faults, %" PRIu64 " after them (%s)",
            faults->fits[0], faults->fits[1], fault);
        return FINDING_BROKEN;
    }
    return FINDING_KEPT;
}

static enum finding judge(const struct case_run *run, struct evidence *evidence)
{
    struct faults faults = faults_of(run);
    if (faults_skipped(run)) {
        say(evidence, "system calls could not be made to fail");
        return FINDING_UNSEEN;
    }
    if (faults.first_failed) {
        (void)refused(run, evidence);
        return FINDING_REFUSED;
    }
    note_number(evidence, "faults_struck_sum", faults.struck);
    note_number(evidence, "faults_felt_sum", faults.felt);
    note_number(evidence, "left_in_place_sum", freed_looks(run, SEEN_BYTES));
    note_number(evidence, "left_on_the_way_out_sum", freed_looks(run, SEEN_RELEASE));
    enum finding finding = weaker(run, evidence);
    if (finding == FINDING_KEPT)
        finding = quota_lost(&faults, evidence);
    if (finding != FINDING_KEPT)
        return finding;
    if (faults.struck == 0) {
        say(evidence, "it never makes that call");
        return FINDING_REFUSED;
    }
    say(evidence, "each fault ends in a refusal or goes unnoticed; nothing weaker, no quota lost");
    return FINDING_KEPT;
}

static bool controls(const struct evidence *positive, const struct evidence *negative, char *why,
                     size_t why_bytes)
{
    if (noted(negative, "faults_felt_sum", 0) == 0)
        (void)snprintf(why, why_bytes, "no injected fault reached the control that must refuse");
    else if (noted(positive, "children_that_read_sum", 0) == 0)
        (void)snprintf(why, why_bytes, "no child was seen to read what the leaking control holds");
    else if (noted(positive, "unguarded_sum", 0) == 0)
        (void)snprintf(why, why_bytes, "guards were seen on the control that has none");
    else if (noted(positive, "left_in_place_sum", 0) == 0 ||
             noted(positive, "left_on_the_way_out_sum", 0) == 0)
        (void)snprintf(why, why_bytes, "what the leaking control leaves behind was not seen");
    else
        return true;
    return false;
}

const struct promise promise_fault_hygiene = {
    .id = "fault-hygiene",
    .level = PROMISE_HARDENING,
    .statement =
        "With the Nth memory or entropy system call failing, for each N and errno, once and "
        "from then on: no crash, no weaker memory, and the quota is back once faults cease.",
    .observed =
        "Of mlock, mmap, mprotect, madvise, munmap, munlock and getrandom the first to fifth "
        "call within alloc, resize and free, or within open, fails with errnos of its man "
        "page, once and for ever. What is handed out must be locked, guarded, kept out of core "
        "files and of children, each where claimed, also when it was resized, and "
        "wiped when freed; what protect says is out of reach must be; a secret from before must be whole; when calls work again alloc "
        "must, and as many secrets fit as before. Each call is refused before it takes "
        "effect, and locking also after it did, as a failed mlock can be charged.",
    .in_practice =
        "Clean-up that forgets one of its steps; a half-built block that goes back to the "
        "free list; an mlock that failed and was charged all the same; a munmap whose "
        "failure is fatal; a retry without end.",
    .observers = OBSERVE_FAULTS | OBSERVE_LOCKS | OBSERVE_LIMIT | OBSERVE_MEMORY |
                 OBSERVE_RELEASES | OBSERVE_TRAPS | OBSERVE_CHILDREN,
    .plan = plan,
    .judge = judge,
    .controls = controls,
};
