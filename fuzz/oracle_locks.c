/* SPDX-License-Identifier: MIT */
/* oracle_locks.c: locks of the living, and the quota; see oracle_parts.h. */
#include "fuzz/oracle_parts.h"

static const char *lock_promise(const struct oracle *o)
{
    if (o->opens > 1 && o->claims->made[CLAIM_REOPEN])
        return "reopen";
    return o->faulted || o->limited ? "honest-lock" : "locked";
}

void oracle_check_locks(struct oracle *o, uintptr_t address, size_t size_bytes, const char *who)
{
    uintptr_t page = 0;
    if (!o->locks_seen || size_bytes == 0)
        return;
    oracle_made(o, ORACLE_LOCKS);
    size_t unlocked = memory_pages_unlocked(address, size_bytes, &page);
    if (unlocked != 0)
        oracle_broken(o, lock_promise(o),
                      "%s: %zu bytes at 0x%" PRIxPTR
                      ": %zu pages are not locked, the first at 0x%" PRIxPTR,
                      who, size_bytes, address, unlocked, page);
}

/* Hundreds may lie on one page, which need not be asked for again in one operation. */
void oracle_check_crowd_locks(struct oracle *o, uintptr_t address, size_t size_bytes)
{
    uintptr_t page = address & ~(uintptr_t)(o->page_bytes - 1);
    bool on_one = size_bytes > 0 && address + size_bytes - 1 < page + o->page_bytes;
    if (!on_one || page != o->crowd_page)
        oracle_check_locks(o, address, size_bytes, "one of a crowd");
    o->crowd_page = on_one ? page : 0;
}

/* Every live secret but the one just made is as it was. */
void oracle_check_neighbours(struct oracle *o, unsigned except)
{
    uintptr_t last_page = 0;
    for (unsigned i = 0; i < MODEL_SLOTS; i++) {
        const struct place *p = &o->live[i];
        uintptr_t page = p->address & ~(uintptr_t)(o->page_bytes - 1);
        uintptr_t unlocked = 0;
        if (p->address == 0 || i == except)
            continue;
        oracle_made(o, ORACLE_NEIGHBOURS);
        if (o->locks_seen && p->size_bytes > 0 &&
            (page != last_page || p->address + p->size_bytes > page + o->page_bytes) &&
            memory_pages_unlocked(p->address, p->size_bytes, &unlocked) != 0)
            oracle_broken(o, "neighbour",
                          "s%u at 0x%" PRIxPTR " lost its lock on the page at 0x%" PRIxPTR, i,
                          p->address, unlocked);
        last_page = page;
        if (!oracle_ends_match(p))
            oracle_broken(o, "neighbour",
                          "the %zu bytes of s%u at 0x%" PRIxPTR " are not those planted",
                          p->known_bytes, i, p->address);
    }
}

/* ---- quota ---- */

/* What is locked before the program: by others than the subject, and by a pool that it keeps. */
void oracle_begin_quota(struct oracle *o)
{
    o->locked_before = o->limit_asked && !memory_locks_more_than(0) ? 0 : memory_locked_bytes();
}

static bool locks_more_than_before(const struct oracle *o)
{
    return o->limit_asked ? memory_locks_more_than(o->locked_before)
                          : memory_locked_bytes() > o->locked_before;
}

void oracle_check_quota_after_close(struct oracle *o)
{
    if (o->claims->has_threads) /* what a program before left is locked, or comes back now */
        return;
    oracle_made(o, ORACLE_QUOTA);
    if (locks_more_than_before(o))
        oracle_broken(o, o->faulted ? "fault-hygiene" : "accounting",
                      "%" PRIu64 " bytes are still locked after close",
                      memory_locked_bytes() - o->locked_before);
}

/* Before close: what it says it holds is what the kernel says, after calls that were refused. */
void oracle_check_quota_before_close(struct oracle *o)
{
    if (o->cannot_release || o->damaged || o->locked_said == UINT64_MAX || !o->refused ||
        o->claims->has_threads)
        return;
    oracle_made(o, ORACLE_QUOTA);
    uint64_t locked = memory_locked_bytes();
    bool with_pool = locked - o->locked_by_others == o->locked_said;
    if (locked - o->locked_before != o->locked_said && !with_pool)
        oracle_broken(o, o->faulted ? "fault-hygiene" : "accounting",
                      "after refusals locked_bytes says %" PRIu64 ", VmLck grew by %" PRIu64,
                      o->locked_said, locked - o->locked_before);
}
