/* SPDX-License-Identifier: MIT */
/* oracle.c: see oracle.h. What is said never holds a byte of a secret: places, counts and names only. */
#include "fuzz/oracle_parts.h"

#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/auxv.h>

#include "fuzz/counters.h"
#include "fuzz/discard.h"
#include "model/ledger.h"
#include "model/raw.h"
#include "model/shadow.h"

const char *const oracle_check_names[ORACLE_CHECKS] = {
    "locks",        "fresh",    "neighbours", "freed-place", "resized-place",
    "closed-place", "released", "quota",      "guard",       "access",
    "smash",        "misuse",   "child",      "reopen",      "unreadable"};

/* ------------------------------------------------------------------------------------ reporting */

static bool is_ignored(const struct oracle *o, const char *promise_id)
{
    size_t length = strlen(promise_id);
    for (const char *at = o->ignored; (at = strstr(at, promise_id)) != NULL; at += length)
        if ((at == o->ignored || at[-1] == ',') && (at[length] == ',' || at[length] == '\0'))
            return true;
    return false;
}

MODEL_PRINTF(3, 4)
void oracle_broken(struct oracle *o, const char *promise_id, const char *format, ...)
{
    va_list list;
    if (o->violation.promise_id[0] != '\0' || is_ignored(o, promise_id))
        return;
    snprintf(o->violation.promise_id, sizeof o->violation.promise_id, "%s", promise_id);
    o->violation.op_index = o->op_index;
    va_start(list, format);
    vsnprintf(o->violation.text, sizeof o->violation.text, format, list);
    va_end(list);
}

/* ---- after each operation ---- */

static void after_fill(struct oracle *o, const struct model_operation *op,
                       const struct model_event *event)
{
    struct place *p = &o->live[op->slot];
    if (event->outcome != MODEL_OK)
        return;
    p->fill = event->slot_fill;
    p->known_bytes = (size_t)event->count;
    oracle_check_unreadable(o, p);
}

static void after_done(struct oracle *o, const struct model_operation *op,
                       const struct model_event *event)
{
    bool ok = event->outcome == MODEL_OK;
    switch ((enum model_code)op->code) {
    case MODEL_ALLOC:
    case MODEL_ALLOC_ALIGNED:
        if (ok)
            oracle_after_alloc(o, op, event);
        break;
    case MODEL_FREE:
        oracle_after_free(o, op);
        break;
    case MODEL_RESIZE:
        if (ok)
            oracle_after_resize(o, op, event);
        break;
    case MODEL_OPEN:
        oracle_after_open(o, op, event);
        break;
    case MODEL_CLOSE:
        oracle_after_close(o, event);
        break;
    case MODEL_FILL:
        after_fill(o, op, event);
        break;
    case MODEL_PROTECT:
        if (ok)
            o->live[op->slot].access = op->arg;
        o->live[op->slot].unsure = !ok;
        o->live[op->slot].moved = o->live[op->slot].moved && !ok;
        break;
    case MODEL_TOUCH:
        oracle_after_touch(o, op, event);
        break;
    case MODEL_WALK:
        oracle_after_walk(o, op, event);
        break;
    case MODEL_SMASH:
        oracle_after_smash(o, op, event);
        break;
    case MODEL_MISUSE:
        oracle_after_misuse(o, op, event);
        break;
    case MODEL_FORK:
        oracle_after_fork(o, op, event);
        break;
    case MODEL_CROWD:
    case MODEL_CROWD_FREE:
        o->crowd_count = (size_t)event->count;
        break;
    case MODEL_LIMIT:
        o->limited = true;
        break;
    case MODEL_FAIL:
        o->failing |= 1u << op->arg;
        o->fails_on = o->fails_on || (op->size.value & MODEL_FAIL_ON) != 0;
        o->cannot_open = o->cannot_open || op->arg == MODEL_CALL_MPROTECT;
        break;
    case MODEL_HEAL:
        o->failing = 0;
        o->fails_on = o->cannot_open = false;
        break;
    case MODEL_PEEK:
        if (o->live[op->slot].address == 0 && !o->damaged)
            oracle_check_peek(o, &o->freed[op->slot]);
        break;
    default:
        break;
    }
}

/* Its own cleaning up apart, it gives nothing back. */
static bool only_takes(enum model_code code)
{
    return code == MODEL_OPEN || code == MODEL_ALLOC || code == MODEL_ALLOC_ALIGNED ||
           code == MODEL_CROWD || code == MODEL_PROTECT;
}

/* Calls that failed: what cannot be unlocked stays so, and what cannot be prepared for that. One that failed once, in a
 * call that takes memory, is in the way of nothing. */
static void note_faults(struct oracle *o, enum model_code code)
{
    const uint32_t releasing = 1u << MODEL_CALL_MUNLOCK | 1u << MODEL_CALL_MUNMAP,
                   preparing = 1u << MODEL_CALL_MADVISE | 1u << MODEL_CALL_MPROTECT;
    uint64_t faults = ledger_counts().faults;
    bool fired = faults != o->faults_seen;
    o->faults_seen = faults;
    if (fired && ((o->failing & releasing) != 0 ||
                  ((o->failing & preparing) != 0 && (o->fails_on || !only_takes(code)))))
        o->cannot_release = true;
}

/* The subject's code runs, here or in a child, and may touch what belongs to others. */
static bool calls_subject(enum model_code code)
{
    return model_calls_subject(code) || code == MODEL_FORK;
}

static bool makes(const struct model_operation *op)
{
    return op->code == MODEL_ALLOC || op->code == MODEL_ALLOC_ALIGNED;
}

static void settle(struct oracle *o, const struct model_operation *op,
                   const struct model_event *event)
{
    if (event->outcome == MODEL_DIED) {
        oracle_after_death(o, op, event);
        return;
    }
    after_done(o, op, event);
    o->refused = o->refused || (event->outcome == MODEL_REFUSED && calls_subject(op->code));
    if (!calls_subject(op->code))
        return;
    if (op->code != MODEL_FREE)
        o->last_freed = (struct place){0};
    if (!o->damaged)
        oracle_check_neighbours(o, makes(op) ? op->slot : MODEL_SLOTS);
    if (event->locked_bytes != UINT64_MAX)
        o->locked_said = event->locked_bytes;
}

/* ------------------------------------------------------------------------------ the host's side */

struct planting {
    uint32_t fill;
    void *p;
    size_t size_bytes;
};

static void plant(void *arg)
{
    const struct planting *planting = arg;
    secrets_write(planting->fill, planting->p, planting->size_bytes);
}

static bool host_plant(void *arg, uint32_t fill, void *p, size_t size_bytes)
{
    struct oracle *o = arg;
    if (o->operation->code == MODEL_CROWD) {
        if (o->crowd_count == 0)
            o->crowd_first_fill = fill;
        o->crowd_count++;
        if (!o->off) {
            oracle_check_crowd_locks(o, (uintptr_t)p, size_bytes);
            oracle_check_fresh(o, (uintptr_t)p, size_bytes, 0, 0);
        }
    }
    struct planting planting = {.fill = fill, .p = p, .size_bytes = size_bytes};
    return memory_try(plant, &planting);
}

static bool host_matches(void *arg, uint32_t fill, const void *p, size_t size_bytes)
{
    (void)arg;
    return secrets_match(fill, 0, p, size_bytes);
}

static void host_begin(void *arg, uint32_t op_index, const struct model_operation *operation,
                       const struct model_event *so_far)
{
    struct oracle *o = arg;
    (void)so_far;
    o->operation = operation;
    o->op_index = op_index;
    o->crowd_page = 0;
    if (operation->code == MODEL_FORK)
        atomic_store(&o->child->slot_seen, 0);
    if (operation->code == MODEL_CLOSE && !o->off)
        oracle_check_quota_before_close(o);
    discard_watch(true);
    ledger_arm(true);
}

/* Also called by the handler of the subject's crash. */
static void host_end(void *arg, const struct model_operation *operation,
                     const struct model_event *event)
{
    struct oracle *o = arg;
    ledger_arm(false);
    discard_watch(false);
    features_note(operation, event);
    if (event->outcome == MODEL_DIED)
        o->died = true;
    if (event->outcome == MODEL_SKIPPED)
        return;
    if (operation->code == MODEL_FAIL)
        o->faulted = true;
    note_faults(o, operation->code);
    if (!o->off)
        settle(o, operation, event);
}

static void host_violated(void *arg, uint32_t op_index, const char *promise_id, const char *detail)
{
    struct oracle *o = arg;
    (void)op_index;
    oracle_broken(o, promise_id, "%s", detail);
}

static bool host_fail(void *arg, enum model_call call, unsigned nth, int error, bool after, bool on)
{
    (void)arg;
    ledger_fail(call, nth, error, after, on);
    return true;
}

/* In the child: can a live secret be read? */
static void host_in_child(void *arg, uint32_t op_index)
{
    struct oracle *o = arg;
    (void)op_index;
    memory_forked();
    for (unsigned i = 0; i < MODEL_SLOTS; i++)
        if (o->live[i].address != 0 && oracle_place_left_whole(&o->live[i]).words != 0)
            atomic_store(&o->child->slot_seen, 1 + i);
    if (!memory_could_be_seen())
        atomic_store(&o->child->blind, true);
}

struct model_host oracle_host(struct oracle *oracle)
{
    return (struct model_host){.arg = oracle,
                               .page_bytes = oracle->page_bytes,
                               .plant = host_plant,
                               .matches = host_matches,
                               .begin = host_begin,
                               .end = host_end,
                               .violated = host_violated,
                               .fail = host_fail,
                               .in_child = host_in_child};
}

/* -------------------------------------------------------------------------------------- programs */

struct oracle *oracle_start(const struct secret_alloc *variant, const struct claims *claims,
                            uint64_t locked_by_others, bool off)
{
    static struct oracle oracle;
    long page =
        raw_call6(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (raw_failed(page))
        return NULL;
    oracle = (struct oracle){.variant = variant,
                             .claims = claims,
                             .off = off,
                             .locked_by_others = locked_by_others,
                             .locks_seen = memory_locks_can_be_seen(),
                             .limit_asked = memory_limit_can_be_asked(),
                             .page_bytes = (size_t)getauxval(AT_PAGESZ),
                             .min_align = variant->min_align != 0 ? variant->min_align
                                                                  : _Alignof(max_align_t),
                             .child = (struct child_report *)page};
    return &oracle;
}

void oracle_fresh(struct oracle *o)
{
    size_t start = offsetof(struct oracle, violation);
    memset((char *)o + start, 0, sizeof *o - start);
    o->locked_said = UINT64_MAX;
    o->faults_seen = ledger_counts().faults;
    if (!o->off) {
        oracle_begin_quota(o);
        ledger_watch(oracle_on_release, o);
    }
    ledger_arm(false);
    ledger_fail(0, 0, 0, false, false);
}

void oracle_finish(struct oracle *o)
{
    if (o->died && !o->off && !o->damaged && o->operation != NULL &&
        o->operation->code == MODEL_MISUSE)
        oracle_after_noticed_misuse(o);
    ledger_watch(NULL, NULL);
    ledger_fail(0, 0, 0, false, false);
    o->operation = NULL;
}

const struct violation *oracle_violation(const struct oracle *oracle)
{
    return &oracle->violation;
}

bool oracle_could_see(const struct oracle *oracle)
{
    return memory_could_be_seen() && !atomic_load(&oracle->child->blind);
}

const uint64_t *oracle_counts(const struct oracle *oracle)
{
    return oracle->counts;
}

bool oracle_ignore(struct oracle *oracle, const char *promise_ids)
{
    return (size_t)snprintf(oracle->ignored, sizeof oracle->ignored, "%s", promise_ids) <
           sizeof oracle->ignored;
}
