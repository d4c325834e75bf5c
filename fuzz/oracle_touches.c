/* SPDX-License-Identifier: MIT */
/* oracle_touches.c: guards, access, overwriting, misuse, children, crashes; see oracle_parts.h. */
#include "fuzz/oracle_parts.h"

#include <signal.h>

/* Distances past an end at which a guard, where claimed, has to trap: [first, last]. */
struct guard_range {
    uint64_t first, last;
};

static struct guard_range guard_range(const struct oracle *o, const struct place *p, unsigned side)
{
    if (side == MODEL_BEFORE)
        return (struct guard_range){o->page_bytes - 1, o->page_bytes - 1};
    size_t slack = (p->align_bytes - p->size_bytes % p->align_bytes) % p->align_bytes;
    return (struct guard_range){slack, slack + o->page_bytes / 2};
}

static bool is_guard(const struct model_event *event)
{
    return event->outcome == MODEL_TRAPPED && event->signal == SIGSEGV &&
           event->code == SEGV_ACCERR;
}

static void outside_check(struct oracle *o, unsigned side, const struct place *p,
                          const struct model_event *event, bool judged)
{
    enum claim claim = side == MODEL_BEFORE ? CLAIM_GUARD_BEFORE : CLAIM_GUARD_AFTER;
    if (!judged || !o->claims->made[claim] || p->size_bytes == 0)
        return;
    oracle_made(o, ORACLE_GUARD);
    if (!is_guard(event))
        oracle_broken(o, claim_ids[claim],
                      "no guard at distance %" PRIu64 " of %zu bytes at 0x%" PRIxPTR,
                      event->distance_bytes, p->size_bytes, p->address);
}

static void inside_check(struct oracle *o, bool write, const struct place *p,
                         const struct model_event *event)
{
    bool may = p->access == SECRET_ACCESS_READ_WRITE || (p->access == SECRET_ACCESS_READ && !write);
    bool did = event->outcome == MODEL_OK;
    if (p->moved)
        return;
    oracle_made(o, ORACLE_ACCESS);
    if (may && !did)
        oracle_broken(o, p->access == SECRET_ACCESS_READ_WRITE ? "sizes" : "states",
                      "byte %" PRIu64 " of %zu at 0x%" PRIxPTR " cannot be %s",
                      event->distance_bytes, p->size_bytes, p->address, write ? "written" : "read");
    if (!may && did && o->claims->made[CLAIM_STATES])
        oracle_broken(o, "states",
                      "byte %" PRIu64 " of %zu at 0x%" PRIxPTR " can be %s without access",
                      event->distance_bytes, p->size_bytes, p->address, write ? "written" : "read");
}

void oracle_after_touch(struct oracle *o, const struct model_operation *op,
                        const struct model_event *event)
{
    const struct place *p = &o->live[op->slot];
    unsigned side = op->arg & ~MODEL_TOUCH_WRITE;
    if (side == MODEL_INSIDE) {
        inside_check(o, (op->arg & MODEL_TOUCH_WRITE) != 0, p, event);
        return;
    }
    struct guard_range range = guard_range(o, p, side);
    outside_check(o, side, p, event,
                  event->distance_bytes >= range.first && event->distance_bytes <= range.last);
}

void oracle_after_walk(struct oracle *o, const struct model_operation *op,
                       const struct model_event *event)
{
    const struct place *p = &o->live[op->slot];
    struct guard_range range = guard_range(o, p, op->arg);
    uint64_t wanted = model_size_bytes(op->size, o->page_bytes);
    bool within = event->distance_bytes <= range.first;
    struct model_event seen = *event;
    if (!within) /* it trapped, if at all, too far away */
        seen.outcome = MODEL_OK;
    outside_check(o, op->arg, p, &seen, wanted > range.first);
}

void oracle_after_smash(struct oracle *o, const struct model_operation *op,
                        const struct model_event *event)
{
    const struct place *p = &o->live[op->slot];
    size_t slack = op->arg == MODEL_AFTER && p->usable_bytes > p->size_bytes
                       ? p->usable_bytes - p->size_bytes
                       : 0;
    if (event->distance_bytes == 0)
        return;
    o->damaged = true;
    o->smashed = 1 + (uint32_t)op->slot;
    o->smash_before = op->arg == MODEL_BEFORE;
    o->smash_beyond_bytes = event->distance_bytes > slack ? event->distance_bytes - slack : 0;
}

/* A free has returned: did it have to notice an overwriting? */
void oracle_check_smash(struct oracle *o, const struct model_operation *op)
{
    if (o->smashed != 1 + (uint32_t)op->slot || oracle_may_stay(o, &o->live[op->slot]))
        return; /* what may not be wiped yet may not be looked at yet, either */
    oracle_made(o, ORACLE_SMASH);
    if (o->smash_beyond_bytes > 0)
        oracle_broken(o, o->smash_before ? "underrun-caught" : "overrun-caught",
                      "%" PRIu64 " bytes past an end of s%u were overwritten, and free returned",
                      o->smash_beyond_bytes, op->slot);
}

void oracle_after_misuse(struct oracle *o, const struct model_operation *op,
                         const struct model_event *event)
{
    const char *promise = op->arg == MODEL_DOUBLE_FREE ? "double-free" : "bad-free";
    const struct place *p = &o->live[op->slot];
    bool inside = event->old_address - p->address < p->size_bytes;
    o->damaged = true;
    if (op->arg == MODEL_INTERIOR_FREE && !inside) /* it may be where another one begins */
        return;
    oracle_made(o, ORACLE_MISUSE);
    oracle_broken(o, promise, "free(0x%" PRIx64 ", %" PRIu64 ") was not noticed",
                  event->old_address, event->old_size_bytes);
}

/* The misuse was noticed: before anything was changed? Called when the program is over, so memory is
 * read through the kernel. */
void oracle_after_noticed_misuse(struct oracle *o)
{
    unsigned char bytes[ENDS_BYTES];
    oracle_made(o, ORACLE_MISUSE);
    for (unsigned i = 0; i < MODEL_SLOTS; i++) {
        const struct place *p = &o->live[i];
        uintptr_t unlocked = 0;
        size_t head = p->known_bytes < ENDS_BYTES ? p->known_bytes : ENDS_BYTES;
        if (p->address == 0)
            continue;
        if (memory_pages_unlocked(p->address, p->size_bytes, &unlocked) != 0 ||
            (p->fill != 0 && memory_read(p->address, bytes, head) == head &&
             !secrets_match(p->fill, 0, bytes, head)))
            oracle_broken(o, o->operation->arg == MODEL_DOUBLE_FREE ? "double-free" : "bad-free",
                          "s%u at 0x%" PRIxPTR " was changed before the misuse was noticed", i,
                          p->address);
    }
}

void oracle_after_fork(struct oracle *o, const struct model_operation *op,
                       const struct model_event *event)
{
    uint32_t slot = atomic_load(&o->child->slot_seen);
    if (!o->claims->made[CLAIM_FORK])
        return;
    oracle_made(o, ORACLE_CHILD);
    if (slot != 0)
        oracle_broken(o, "fork", "a child can read the secret in s%u", slot - 1);
    else if (event->message[0] != '\0' || event->signal != 0)
        oracle_broken(o, "fork", "the child %s (signal %d)",
                      event->message[0] != '\0' ? "hung" : "was killed", event->signal);
    else if ((op->arg & MODEL_FORK_USE) != 0 && event->count == MODEL_CHILD_WRONG)
        oracle_broken(o, "fork", "a new secret in the child reads back differently");
}

static const char *crash_promise(const struct oracle *o, const struct model_operation *op)
{
    if (o->faulted)
        return "fault-hygiene";
    switch (op->code) {
    case MODEL_OPEN:
        return "reopen";
    case MODEL_CLOSE:
        return "zero-on-close";
    case MODEL_FREE:
    case MODEL_CROWD_FREE:
        return "zero-on-free";
    case MODEL_PROTECT:
        return "states";
    case MODEL_FORK:
        return "fork";
    default:
        return "sizes";
    }
}

/* The subject ended the program: that is what misuse is for, and nothing else. */
void oracle_after_death(struct oracle *o, const struct model_operation *op,
                        const struct model_event *event)
{
    o->died = true;
    if (op->code == MODEL_MISUSE || o->damaged) {
        if (o->damaged)
            oracle_made(o, ORACLE_SMASH);
        return; /* what is left is looked at when the program is over */
    }
    if (event->signal != 0)
        oracle_broken(o, crash_promise(o, op), "crashed by signal %d at 0x%" PRIx64, event->signal,
                      event->trap_address);
    else
        oracle_broken(o, crash_promise(o, op), "fatal without misuse: %.100s", event->message);
}
