/* SPDX-License-Identifier: MIT */
/* oracle_calls.c: allocate, free, resize, open, close; see oracle_parts.h. */
#include "fuzz/oracle_parts.h"

#include <string.h>

static struct place place_of(const struct oracle *o, const struct model_operation *operation,
                             const struct model_event *event)
{
    bool asked = operation->code == MODEL_ALLOC_ALIGNED;
    return (struct place){.address = (uintptr_t)event->address,
                          .size_bytes = (size_t)event->size_bytes,
                          .usable_bytes = (size_t)event->usable_bytes,
                          .align_bytes = asked && (size_t)1 << operation->arg > o->min_align
                                             ? (size_t)1 << operation->arg
                                             : o->min_align,
                          .access = SECRET_ACCESS_READ_WRITE};
}

static bool overlaps(const struct place *a, const struct place *b)
{
    return a->address < b->address + b->size_bytes && b->address < a->address + a->size_bytes;
}

/* Then what was freed may have to be used again at once. */
static bool is_short_of_room(const struct oracle *o)
{
    bool has_budget = o->open_size.kind != MODEL_SIZE_RAW || o->open_size.value != 0;
    return o->refused || o->crowd_count > 0 || has_budget ||
           (o->locked_said != UINT64_MAX && o->locked_said > ADMIT_LIMIT_BYTES / 4);
}

void oracle_after_alloc(struct oracle *o, const struct model_operation *op,
                        const struct model_event *event)
{
    struct place new = place_of(o, op, event);
    char who[16];
    snprintf(who, sizeof who, "s%u", op->slot);
    oracle_check_locks(o, new.address, new.size_bytes, who);
    oracle_check_fresh(o, new.address, new.usable_bytes, 0, 0);
    if (o->claims->made[CLAIM_USE_AFTER_FREE] && !o->limited && !o->faulted &&
        !is_short_of_room(o) && o->last_freed.address != 0 && overlaps(&new, &o->last_freed))
        oracle_broken(o, "use-after-free",
                      "the next %zu bytes lie at 0x%" PRIxPTR ", where %zu were freed just before",
                      new.size_bytes, new.address, o->last_freed.size_bytes);
    o->live[op->slot] = new;
}

void oracle_after_free(struct oracle *o, const struct model_operation *op)
{
    struct place *p = &o->live[op->slot];
    oracle_check_smash(o, op);
    if (!o->damaged)
        oracle_check_dead(o, p, "zero-on-free", ORACLE_FREED_PLACE);
    if (oracle_may_stay(o, p))
        p->fill = 0; /* when it is wiped is not for us to say */
    o->freed[op->slot] = *p;
    o->last_freed = *p;
    *p = (struct place){0};
}

void oracle_after_resize(struct oracle *o, const struct model_operation *op,
                         const struct model_event *event)
{
    struct place *slot = &o->live[op->slot], old = *slot;
    slot->address = (uintptr_t)event->address;
    slot->size_bytes = (size_t)event->size_bytes;
    slot->usable_bytes = (size_t)event->usable_bytes;
    slot->moved = slot->access != SECRET_ACCESS_READ_WRITE;
    /* align_bytes stays: it may keep the alignment it was made with, and the guard its distance. */
    size_t kept = old.size_bytes < slot->size_bytes ? old.size_bytes : slot->size_bytes;
    slot->known_bytes = slot->known_bytes < kept ? slot->known_bytes : kept;
    oracle_made(o, ORACLE_RESIZED_PLACE);
    oracle_check_locks(o, slot->address, slot->size_bytes, "a resized secret");
    if (slot->address == old.address)
        oracle_check_tail(o, &old, slot->size_bytes);
    else if (!o->damaged)
        oracle_check_dead(o, &old, "zero-on-resize", ORACLE_RESIZED_PLACE);
    oracle_check_fresh(o, slot->address, slot->usable_bytes, (kept + 7) & ~(size_t)7, slot->fill);
    if (!oracle_ends_match(slot))
        oracle_broken(o, "zero-on-resize", "the first %zu bytes of s%u are not kept",
                      slot->known_bytes, op->slot);
}

void oracle_after_open(struct oracle *o, const struct model_operation *op,
                       const struct model_event *event)
{
    bool alike = o->closed_well && !o->faulted && !o->limited &&
                 op->size.kind == o->open_size.kind && op->size.value == o->open_size.value;
    if (alike)
        oracle_made(o, ORACLE_REOPEN);
    if (alike && event->outcome == MODEL_REFUSED)
        oracle_broken(o, "reopen", "open said no (errno %d) after a close that went well",
                      event->error);
    o->opens += event->outcome == MODEL_OK;
    o->open_size = op->size;
    o->closed_well = false;
}

void oracle_after_close(struct oracle *o, const struct model_event *event)
{
    for (unsigned i = 0; i < MODEL_SLOTS; i++) {
        struct place *p = &o->live[i];
        if (p->address == 0)
            continue;
        if (o->claims->made[CLAIM_ZERO_ON_CLOSE] && !o->damaged)
            oracle_check_dead(o, p, "zero-on-close", ORACLE_CLOSED_PLACE);
        if (oracle_may_stay(o, p))
            p->fill = 0; /* as after free */
        o->freed[i] = *p;
        *p = (struct place){0};
    }
    o->crowd_count = 0;
    o->locked_said = UINT64_MAX; /* there is nobody to ask */
    o->closed_well = event->outcome == MODEL_OK;
    if (o->cannot_release || event->outcome != MODEL_OK)
        return;
    oracle_check_quota_after_close(o);
}
