/* SPDX-License-Identifier: MIT */
/* oracle.c: see oracle.h. What is said never holds a byte of a secret: places, counts and names only. */
#include "fuzz/oracle.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

#include "fuzz/counters.h"
#include "fuzz/discard.h"
#include "fuzz/secrets.h"
#include "fuzz/self.h"
#include "model/ledger.h"
#include "model/raw.h"
#include "model/shadow.h"
#include "model/tools.h"

#define CHUNK_BYTES ((size_t)64 << 10)
#define PAGE_BYTES_MIN ((size_t)4096)
#define PLACE_BYTES_MAX ((size_t)1 << 20)     /* of one place that is looked at */
#define RELEASE_BYTES_MAX ((size_t)256 << 10) /* of one release that is searched */
#define ENDS_BYTES 64u                        /* of a neighbour, at each end */
#define IGNORED_BYTES 256u

const char *const oracle_check_names[ORACLE_CHECKS] = {
    "locks", "fresh", "neighbours", "freed-place", "resized-place", "closed-place", "released",
    "quota", "guard", "access",     "smash",       "misuse",        "child",        "reopen"};

/* A secret as this side knows it. */
struct place {
    uintptr_t address; /* 0: none */
    size_t size_bytes, usable_bytes, align_bytes;
    size_t known_bytes; /* its first ones that are those of fill */
    uint32_t fill;
    uint8_t access;
};

/* What a forked child found; on a page that it shares with its parent. */
struct child_report {
    _Atomic uint32_t slot_seen; /* 1 + slot whose secret could be read */
};

struct oracle {
    const struct secret_alloc *variant;
    const struct claims *claims;
    bool off, locks_seen;
    size_t page_bytes, min_align;
    char ignored[IGNORED_BYTES];
    struct child_report *child;
    uint64_t counts[ORACLE_CHECKS];
    /* of the program */
    struct violation violation;
    struct place live[MODEL_SLOTS], freed[MODEL_SLOTS];
    struct place last_freed; /* by the last call but looks; else none */
    uint32_t crowd_first_fill;
    size_t crowd_count;
    uintptr_t crowd_page; /* the last one that was seen to be locked, in this operation */
    const struct model_operation *operation;
    uint32_t op_index, smashed; /* 1 + slot of the smash that its free has to notice */
    uint64_t smash_beyond_bytes;
    uint64_t locked_before, locked_said;
    bool smash_before, faulted, limited, refused, damaged, died, closed_well, cannot_release,
        cannot_open;
    uint32_t opens;
    struct model_size open_size;
};

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
static void broken(struct oracle *o, const char *promise_id, const char *format, ...)
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

static void made(struct oracle *o, enum oracle_check check)
{
    o->counts[check]++;
}

/* --------------------------------------------------------------------------- looking at memory */

/* Looks through a range of memory, as many bytes at a time as one read gives; what cannot be read is passed
 * over page by page. A word that lies across two reads is not seen. */
struct look {
    uintptr_t address;
    size_t size_bytes, done;
    size_t got;
    unsigned char bytes[CHUNK_BYTES];
};

/* The next bytes that can be read. False: that was all. */
static bool look_next(struct look *l)
{
    while (l->done < l->size_bytes) {
        size_t left = l->size_bytes - l->done;
        uintptr_t at = l->address + l->done;
        l->got = memory_read(at, l->bytes, left < CHUNK_BYTES ? left : CHUNK_BYTES);
        l->done += l->got != 0 ? l->got : PAGE_BYTES_MIN - at % PAGE_BYTES_MIN;
        if (l->got != 0)
            return true;
    }
    return false;
}

/* Begins one. Not a copy: the buffer is left as it is. */
static void look_begin(struct look *l, uintptr_t address, size_t size_bytes)
{
    l->address = address;
    l->size_bytes = size_bytes < PLACE_BYTES_MAX ? size_bytes : PLACE_BYTES_MAX;
    l->done = l->got = 0;
}

/* What of a place is still there. */
struct left {
    size_t words, nonzero, readable;
};

/* Looks at the bytes [from, to) of a place, from on a multiple of 8, that also lie in [start, end). */
static struct left place_left(const struct place *p, size_t from, size_t to, uintptr_t start,
                              uintptr_t end)
{
    struct left left = {0};
    uintptr_t a = p->address + from, b = p->address + to;
    a = a > start ? a : start;
    b = b < end ? b : end;
    if (b <= a || p->address + to < p->address)
        return left;
    struct look l;
    look_begin(&l, a, b - a);
    while (look_next(&l)) {
        size_t at = l.done - l.got;
        size_t skip = (8 - (a + at - p->address) % 8) % 8; /* to the next word of the secret */
        left.readable += l.got;
        for (size_t i = 0; i < l.got; i++)
            left.nonzero += l.bytes[i] != 0;
        if (p->fill != 0 && skip < l.got)
            left.words += secrets_words_in_place(p->fill, a + at + skip - p->address,
                                                 l.bytes + skip, l.got - skip);
    }
    /* A short secret has no whole word: four bytes that stand are no chance, and no wipe. */
    if (left.words == 0 && p->fill != 0 && from == 0 && a == p->address && p->known_bytes >= 4 &&
        p->known_bytes < SECRETS_WORD_BYTES && left.readable >= p->known_bytes) {
        unsigned char bytes[SECRETS_WORD_BYTES];
        left.words = memory_read(a, bytes, p->known_bytes) == p->known_bytes &&
                     secrets_match(p->fill, 0, bytes, p->known_bytes);
    }
    return left;
}

static struct left place_left_whole(const struct place *p)
{
    size_t bytes = p->usable_bytes > p->size_bytes ? p->usable_bytes : p->size_bytes;
    return place_left(p, 0, bytes, 0, UINTPTR_MAX);
}

static bool is_live(const struct oracle *o, uint32_t fill)
{
    for (unsigned i = 0; i < MODEL_SLOTS; i++)
        if (o->live[i].address != 0 && o->live[i].fill == fill)
            return true;
    return o->crowd_count > 0 && fill >= o->crowd_first_fill; /* which of them is not known */
}

/* ------------------------------------------------------------------------- checks of live ones */

static const char *lock_promise(const struct oracle *o)
{
    if (o->opens > 1 && o->claims->made[CLAIM_REOPEN])
        return "reopen";
    return o->faulted || o->limited ? "honest-lock" : "locked";
}

static void locks_check(struct oracle *o, uintptr_t address, size_t size_bytes, const char *who)
{
    uintptr_t page = 0;
    if (!o->locks_seen || size_bytes == 0)
        return;
    made(o, ORACLE_LOCKS);
    size_t unlocked = memory_pages_unlocked(address, size_bytes, &page);
    if (unlocked != 0)
        broken(o, lock_promise(o),
               "%s: %zu bytes at 0x%" PRIxPTR
               ": %zu pages are not locked, the first at 0x%" PRIxPTR,
               who, size_bytes, address, unlocked, page);
}

struct fresh_look {
    const unsigned char *p;
    size_t size_bytes, from;
    uint32_t own;
    bool found;
    struct secrets_word word;
};

static void fresh_look(void *arg)
{
    struct fresh_look *l = arg;
    size_t at = l->from;
    while ((l->found = secrets_find(l->p, l->size_bytes, at, &l->word)) && l->own != 0 &&
           l->word.fill == l->own)
        at = l->word.at + SECRETS_WORD_BYTES;
}

/* New memory, from its byte `from` on, shows no secret but perhaps its own (fill; 0: it has none). */
static void fresh_check(struct oracle *o, uintptr_t address, size_t size_bytes, size_t from,
                        uint32_t fill)
{
    if (size_bytes <= from || address + size_bytes < address)
        return;
    made(o, ORACLE_FRESH);
    struct fresh_look look = {.p = (const unsigned char *)address,
                              .size_bytes =
                                  size_bytes < PLACE_BYTES_MAX ? size_bytes : PLACE_BYTES_MAX,
                              .from = from,
                              .own = fill};
    if (!memory_try(fresh_look, &look))
        broken(o, "sizes", "the %zu new bytes at 0x%" PRIxPTR " cannot be read", size_bytes,
               address);
    else if (look.found)
        broken(o, "fresh",
               "%zu new bytes at 0x%" PRIxPTR
               " show word %u of secret %u, %zu bytes from their start",
               size_bytes, address, look.word.word, look.word.fill, look.word.at);
}

struct ends {
    const struct place *place;
    bool match;
};

static void ends_compare(void *arg)
{
    struct ends *ends = arg;
    const struct place *p = ends->place;
    const unsigned char *at = (const unsigned char *)p->address;
    size_t head = p->known_bytes < ENDS_BYTES ? p->known_bytes : ENDS_BYTES;
    size_t from = (p->known_bytes - head) & ~(size_t)(SECRETS_WORD_BYTES - 1);
    ends->match = secrets_match(p->fill, 0, at, head) &&
                  secrets_match(p->fill, from, at + from, p->known_bytes - from);
}

/* Are the first and last bytes of a live secret those planted? One without access is looked at when
 * it has some again. */
static bool ends_match(const struct place *p)
{
    struct ends ends = {.place = p};
    if (p->fill == 0 || p->access == SECRET_ACCESS_NONE)
        return true;
    return memory_try(ends_compare, &ends) && ends.match;
}

/* Every live secret but the one just made is as it was. */
static void neighbours_check(struct oracle *o, unsigned except)
{
    uintptr_t last_page = 0;
    for (unsigned i = 0; i < MODEL_SLOTS; i++) {
        const struct place *p = &o->live[i];
        uintptr_t page = p->address & ~(uintptr_t)(o->page_bytes - 1);
        uintptr_t unlocked = 0;
        if (p->address == 0 || i == except)
            continue;
        made(o, ORACLE_NEIGHBOURS);
        if (o->locks_seen && p->size_bytes > 0 &&
            (page != last_page || p->address + p->size_bytes > page + o->page_bytes) &&
            memory_pages_unlocked(p->address, p->size_bytes, &unlocked) != 0)
            broken(o, "neighbour", "s%u at 0x%" PRIxPTR " lost its lock on the page at 0x%" PRIxPTR,
                   i, p->address, unlocked);
        last_page = page;
        if (!ends_match(p))
            broken(o, "neighbour", "the %zu bytes of s%u at 0x%" PRIxPTR " are not those planted",
                   p->known_bytes, i, p->address);
    }
}

/* --------------------------------------------------------------------------- checks of dead ones */

/* A secret whose memory its owner gave up. */
static void dead_check(struct oracle *o, const struct place *p, const char *promise_id,
                       enum oracle_check check)
{
    if (o->cannot_open) /* what cannot be made writable cannot be wiped: it may stay, locked, until then */
        return;
    struct left left = place_left_whole(p);
    made(o, check);
    if (left.words != 0)
        broken(o, promise_id, "%zu words of secret %u are left in its %zu bytes at 0x%" PRIxPTR,
               left.words, p->fill, p->size_bytes, p->address);
    else if (o->claims->made[CLAIM_ALL_ZERO] && left.nonzero != 0 && check == ORACLE_FREED_PLACE)
        broken(o, "all-zero", "%zu of the %zu bytes at 0x%" PRIxPTR " are not zero", left.nonzero,
               left.readable, p->address);
}

/* Later: others may rightly have moved in, with other words. */
static void peek_check(struct oracle *o, const struct place *p)
{
    struct left left = place_left_whole(p);
    if (left.words != 0)
        broken(o, "zero-on-free", "%zu words of freed secret %u came back at 0x%" PRIxPTR,
               left.words, p->fill, p->address);
}

/* The tail that a shrunk secret gave up in place. */
static void tail_check(struct oracle *o, const struct place *old, size_t new_bytes)
{
    size_t from = (new_bytes + 7) & ~(size_t)7;
    struct left left = place_left(old, from, old->known_bytes, 0, UINTPTR_MAX);
    if (left.words != 0)
        broken(o, "zero-on-resize",
               "%zu words of secret %u are left behind the %zu bytes it was cut to, at 0x%" PRIxPTR,
               left.words, old->fill, new_bytes, old->address);
}

static const char *release_promise(const struct oracle *o)
{
    switch (o->operation->code) {
    case MODEL_RESIZE:
        return "zero-on-resize";
    case MODEL_CLOSE:
        return "zero-on-close";
    default:
        return "zero-on-free";
    }
}

/* Is the owner of the secret in this slot about to lose it to this operation? */
static bool is_dying(const struct oracle *o, unsigned slot)
{
    return o->operation->code == MODEL_CLOSE ||
           ((o->operation->code == MODEL_FREE || o->operation->code == MODEL_RESIZE) &&
            o->operation->slot == slot);
}

static void release_of(struct oracle *o, const struct place *p, uintptr_t start, uintptr_t end)
{
    size_t bytes = p->usable_bytes > p->size_bytes ? p->usable_bytes : p->size_bytes;
    struct left left = place_left(p, 0, bytes, start, end);
    if (left.words != 0)
        broken(o, release_promise(o),
               "memory was given back with %zu words of secret %u in its %zu bytes at 0x%" PRIxPTR,
               left.words, p->fill, p->size_bytes, p->address);
    else if (left.nonzero != 0 && o->operation->code == MODEL_FREE &&
             o->claims->made[CLAIM_ALL_ZERO])
        broken(o, "all-zero",
               "memory was given back with %zu of the %zu bytes at 0x%" PRIxPTR " not zero",
               left.nonzero, left.readable, p->address);
}

/* Words of secrets that are nobody's, anywhere in what is given back. */
static void release_search(struct oracle *o, uintptr_t start, size_t size_bytes)
{
    struct look l;
    look_begin(&l, start, size_bytes < RELEASE_BYTES_MAX ? size_bytes : RELEASE_BYTES_MAX);
    struct secrets_word word;
    while (look_next(&l)) {
        size_t from = 0;
        for (; secrets_find(l.bytes, l.got, from, &word); from = word.at + 8)
            if (!is_live(o, word.fill)) {
                broken(o, release_promise(o),
                       "memory at 0x%" PRIxPTR
                       " was given back with a word of dead secret %u in it",
                       l.address + l.done - l.got + word.at, word.fill);
                return;
            }
    }
}

static void on_release(void *arg, long call, uintptr_t address, size_t size_bytes)
{
    struct oracle *o = arg;
    (void)call;
    if (o->operation == NULL || o->damaged || o->violation.promise_id[0] != '\0')
        return;
    uintptr_t end = size_bytes == SIZE_MAX || address + size_bytes < address ? UINTPTR_MAX
                                                                             : address + size_bytes;
    made(o, ORACLE_RELEASED);
    for (unsigned i = 0; i < MODEL_SLOTS; i++)
        if (o->live[i].address != 0 && is_dying(o, i))
            release_of(o, &o->live[i], address, end);
    if (size_bytes != SIZE_MAX)
        release_search(o, address, size_bytes);
}

/* ------------------------------------------------------------------------- after each operation */

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

static void after_alloc(struct oracle *o, const struct model_operation *op,
                        const struct model_event *event)
{
    struct place new = place_of(o, op, event);
    char who[16];
    snprintf(who, sizeof who, "s%u", op->slot);
    locks_check(o, new.address, new.size_bytes, who);
    fresh_check(o, new.address, new.usable_bytes, 0, 0);
    if (o->claims->made[CLAIM_USE_AFTER_FREE] && !o->limited && !o->faulted &&
        !is_short_of_room(o) && o->last_freed.address != 0 && overlaps(&new, &o->last_freed))
        broken(o, "use-after-free",
               "the next %zu bytes lie at 0x%" PRIxPTR ", where %zu were freed just before",
               new.size_bytes, new.address, o->last_freed.size_bytes);
    o->live[op->slot] = new;
}

static void after_free(struct oracle *o, const struct model_operation *op)
{
    struct place *p = &o->live[op->slot];
    if (o->smashed == 1 + (uint32_t)op->slot) {
        made(o, ORACLE_SMASH);
        if (o->smash_beyond_bytes > 0)
            broken(o, o->smash_before ? "underrun-caught" : "overrun-caught",
                   "%" PRIu64 " bytes past an end of s%u were overwritten, and free returned",
                   o->smash_beyond_bytes, op->slot);
    }
    if (!o->damaged)
        dead_check(o, p, "zero-on-free", ORACLE_FREED_PLACE);
    if (o->cannot_open)
        p->fill = 0; /* when it is wiped is not for us to say */
    o->freed[op->slot] = *p;
    o->last_freed = *p;
    *p = (struct place){0};
}

static void after_resize(struct oracle *o, const struct model_operation *op,
                         const struct model_event *event)
{
    struct place *slot = &o->live[op->slot], old = *slot;
    slot->address = (uintptr_t)event->address;
    slot->size_bytes = (size_t)event->size_bytes;
    slot->usable_bytes = (size_t)event->usable_bytes;
    /* align_bytes stays: it may keep the alignment it was made with, and the guard its distance. */
    size_t kept = old.size_bytes < slot->size_bytes ? old.size_bytes : slot->size_bytes;
    slot->known_bytes = slot->known_bytes < kept ? slot->known_bytes : kept;
    made(o, ORACLE_RESIZED_PLACE);
    locks_check(o, slot->address, slot->size_bytes, "a resized secret");
    if (slot->address == old.address)
        tail_check(o, &old, slot->size_bytes);
    else if (!o->damaged)
        dead_check(o, &old, "zero-on-resize", ORACLE_RESIZED_PLACE);
    fresh_check(o, slot->address, slot->usable_bytes, (kept + 7) & ~(size_t)7, slot->fill);
    if (!ends_match(slot))
        broken(o, "zero-on-resize", "the first %zu bytes of s%u are not kept", slot->known_bytes,
               op->slot);
}

static void after_open(struct oracle *o, const struct model_operation *op,
                       const struct model_event *event)
{
    bool alike = o->closed_well && !o->faulted && !o->limited &&
                 op->size.kind == o->open_size.kind && op->size.value == o->open_size.value;
    if (alike)
        made(o, ORACLE_REOPEN);
    if (alike && event->outcome == MODEL_REFUSED)
        broken(o, "reopen", "open said no (errno %d) after a close that went well", event->error);
    o->opens += event->outcome == MODEL_OK;
    o->open_size = op->size;
    o->closed_well = false;
}

static void after_close(struct oracle *o, const struct model_event *event)
{
    for (unsigned i = 0; i < MODEL_SLOTS; i++) {
        struct place *p = &o->live[i];
        if (p->address == 0)
            continue;
        if (o->claims->made[CLAIM_ZERO_ON_CLOSE] && !o->damaged)
            dead_check(o, p, "zero-on-close", ORACLE_CLOSED_PLACE);
        o->freed[i] = *p;
        *p = (struct place){0};
    }
    o->crowd_count = 0;
    o->locked_said = UINT64_MAX; /* there is nobody to ask */
    o->closed_well = event->outcome == MODEL_OK;
    if (o->cannot_release || event->outcome != MODEL_OK)
        return;
    made(o, ORACLE_QUOTA);
    uint64_t locked = memory_locked_bytes();
    if (locked > o->locked_before)
        broken(o, o->faulted ? "fault-hygiene" : "accounting",
               "%" PRIu64 " bytes are still locked after close", locked - o->locked_before);
}

/* Before close: what it says it holds is what the kernel says, after calls that were refused. */
static void before_close(struct oracle *o)
{
    if (o->cannot_release || o->damaged || o->locked_said == UINT64_MAX || !o->refused)
        return;
    made(o, ORACLE_QUOTA);
    uint64_t locked = memory_locked_bytes();
    if (locked - o->locked_before != o->locked_said)
        broken(o, o->faulted ? "fault-hygiene" : "accounting",
               "after refusals locked_bytes says %" PRIu64 ", VmLck grew by %" PRIu64,
               o->locked_said, locked - o->locked_before);
}

/* ------------------------------------------------------------------------------ guards and access */

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
    made(o, ORACLE_GUARD);
    if (!is_guard(event))
        broken(o, claim_ids[claim], "no guard at distance %" PRIu64 " of %zu bytes at 0x%" PRIxPTR,
               event->distance_bytes, p->size_bytes, p->address);
}

static void inside_check(struct oracle *o, bool write, const struct place *p,
                         const struct model_event *event)
{
    bool may = p->access == SECRET_ACCESS_READ_WRITE || (p->access == SECRET_ACCESS_READ && !write);
    bool did = event->outcome == MODEL_OK;
    made(o, ORACLE_ACCESS);
    if (may && !did)
        broken(o, p->access == SECRET_ACCESS_READ_WRITE ? "sizes" : "states",
               "byte %" PRIu64 " of %zu at 0x%" PRIxPTR " cannot be %s", event->distance_bytes,
               p->size_bytes, p->address, write ? "written" : "read");
    if (!may && did && o->claims->made[CLAIM_STATES])
        broken(o, "states", "byte %" PRIu64 " of %zu at 0x%" PRIxPTR " can be %s without access",
               event->distance_bytes, p->size_bytes, p->address, write ? "written" : "read");
}

static void after_touch(struct oracle *o, const struct model_operation *op,
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

static void after_walk(struct oracle *o, const struct model_operation *op,
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

static void after_smash(struct oracle *o, const struct model_operation *op,
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

static void after_misuse(struct oracle *o, const struct model_operation *op,
                         const struct model_event *event)
{
    const char *promise = op->arg == MODEL_DOUBLE_FREE ? "double-free" : "bad-free";
    const struct place *p = &o->live[op->slot];
    bool inside = event->old_address - p->address < p->size_bytes;
    o->damaged = true;
    if (op->arg == MODEL_INTERIOR_FREE && !inside) /* it may be where another one begins */
        return;
    made(o, ORACLE_MISUSE);
    broken(o, promise, "free(0x%" PRIx64 ", %" PRIu64 ") was not noticed", event->old_address,
           event->old_size_bytes);
}

/* The misuse was noticed: before anything was changed? Called when the program is over, so memory is
 * read through the kernel. */
static void after_noticed_misuse(struct oracle *o)
{
    unsigned char bytes[ENDS_BYTES];
    made(o, ORACLE_MISUSE);
    for (unsigned i = 0; i < MODEL_SLOTS; i++) {
        const struct place *p = &o->live[i];
        uintptr_t unlocked = 0;
        size_t head = p->known_bytes < ENDS_BYTES ? p->known_bytes : ENDS_BYTES;
        if (p->address == 0)
            continue;
        if (memory_pages_unlocked(p->address, p->size_bytes, &unlocked) != 0 ||
            (p->fill != 0 && memory_read(p->address, bytes, head) == head &&
             !secrets_match(p->fill, 0, bytes, head)))
            broken(o, o->operation->arg == MODEL_DOUBLE_FREE ? "double-free" : "bad-free",
                   "s%u at 0x%" PRIxPTR " was changed before the misuse was noticed", i,
                   p->address);
    }
}

static void after_fork(struct oracle *o, const struct model_operation *op,
                       const struct model_event *event)
{
    uint32_t slot = atomic_load(&o->child->slot_seen);
    if (!o->claims->made[CLAIM_FORK])
        return;
    made(o, ORACLE_CHILD);
    if (slot != 0)
        broken(o, "fork", "a child can read the secret in s%u", slot - 1);
    else if (event->message[0] != '\0' || event->signal != 0)
        broken(o, "fork", "the child %s (signal %d)",
               event->message[0] != '\0' ? "hung" : "was killed", event->signal);
    else if ((op->arg & MODEL_FORK_USE) != 0 && event->count == MODEL_CHILD_WRONG)
        broken(o, "fork", "a new secret in the child reads back differently");
}

static void after_fill(struct oracle *o, const struct model_operation *op,
                       const struct model_event *event)
{
    struct place *p = &o->live[op->slot];
    if (event->outcome != MODEL_OK)
        return;
    p->fill = event->slot_fill;
    p->known_bytes = (size_t)event->count;
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
static void after_death(struct oracle *o, const struct model_operation *op,
                        const struct model_event *event)
{
    o->died = true;
    if (op->code == MODEL_MISUSE || o->damaged) {
        if (o->damaged)
            made(o, ORACLE_SMASH);
        return; /* what is left is looked at when the program is over */
    }
    if (event->signal != 0)
        broken(o, crash_promise(o, op), "crashed by signal %d at 0x%" PRIx64, event->signal,
               event->trap_address);
    else
        broken(o, crash_promise(o, op), "fatal without misuse: %.100s", event->message);
}

static void after_done(struct oracle *o, const struct model_operation *op,
                       const struct model_event *event)
{
    bool ok = event->outcome == MODEL_OK;
    switch ((enum model_code)op->code) {
    case MODEL_ALLOC:
    case MODEL_ALLOC_ALIGNED:
        if (ok)
            after_alloc(o, op, event);
        break;
    case MODEL_FREE:
        after_free(o, op);
        break;
    case MODEL_RESIZE:
        if (ok)
            after_resize(o, op, event);
        break;
    case MODEL_OPEN:
        after_open(o, op, event);
        break;
    case MODEL_CLOSE:
        after_close(o, event);
        break;
    case MODEL_FILL:
        after_fill(o, op, event);
        break;
    case MODEL_PROTECT:
        if (ok)
            o->live[op->slot].access = op->arg;
        break;
    case MODEL_TOUCH:
        after_touch(o, op, event);
        break;
    case MODEL_WALK:
        after_walk(o, op, event);
        break;
    case MODEL_SMASH:
        after_smash(o, op, event);
        break;
    case MODEL_MISUSE:
        after_misuse(o, op, event);
        break;
    case MODEL_FORK:
        after_fork(o, op, event);
        break;
    case MODEL_CROWD:
    case MODEL_CROWD_FREE:
        o->crowd_count = (size_t)event->count;
        break;
    case MODEL_LIMIT:
        o->limited = true;
        break;
    case MODEL_FAIL: /* what cannot be unlocked stays so */
        o->cannot_release = o->cannot_release || op->arg == MODEL_CALL_MUNLOCK ||
                            op->arg == MODEL_CALL_MUNMAP || op->arg == MODEL_CALL_MADVISE ||
                            op->arg == MODEL_CALL_MPROTECT;
        o->cannot_open = o->cannot_open || op->arg == MODEL_CALL_MPROTECT;
        break;
    case MODEL_HEAL:
        o->cannot_open = false;
        break;
    case MODEL_PEEK:
        if (o->live[op->slot].address == 0 && !o->damaged)
            peek_check(o, &o->freed[op->slot]);
        break;
    default:
        break;
    }
}

/* Operations in which the subject's code runs and may touch what belongs to others. */
static bool calls_subject(enum model_code code)
{
    switch (code) {
    case MODEL_OPEN:
    case MODEL_CLOSE:
    case MODEL_ALLOC:
    case MODEL_ALLOC_ALIGNED:
    case MODEL_FREE:
    case MODEL_RESIZE:
    case MODEL_PROTECT:
    case MODEL_CROWD:
    case MODEL_CROWD_FREE:
    case MODEL_FORK:
        return true;
    default:
        return false;
    }
}

static bool makes(const struct model_operation *op)
{
    return op->code == MODEL_ALLOC || op->code == MODEL_ALLOC_ALIGNED;
}

static void settle(struct oracle *o, const struct model_operation *op,
                   const struct model_event *event)
{
    if (event->outcome == MODEL_DIED) {
        after_death(o, op, event);
        return;
    }
    after_done(o, op, event);
    o->refused = o->refused || (event->outcome == MODEL_REFUSED && calls_subject(op->code));
    if (!calls_subject(op->code))
        return;
    if (op->code != MODEL_FREE)
        o->last_freed = (struct place){0};
    if (!o->damaged)
        neighbours_check(o, makes(op) ? op->slot : MODEL_SLOTS);
    if (event->locked_bytes != UINT64_MAX)
        o->locked_said = event->locked_bytes;
}

/* ------------------------------------------------------------------------------ the host's side */

/* Hundreds may lie on one page, which need not be asked for again in one operation. */
static void crowd_locks_check(struct oracle *o, uintptr_t address, size_t size_bytes)
{
    uintptr_t page = address & ~(uintptr_t)(o->page_bytes - 1);
    bool on_one = size_bytes > 0 && address + size_bytes - 1 < page + o->page_bytes;
    if (!on_one || page != o->crowd_page)
        locks_check(o, address, size_bytes, "one of a crowd");
    o->crowd_page = on_one ? page : 0;
}

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
            crowd_locks_check(o, (uintptr_t)p, size_bytes);
            fresh_check(o, (uintptr_t)p, size_bytes, 0, 0);
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
        before_close(o);
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
    if (!o->off)
        settle(o, operation, event);
}

static void host_violated(void *arg, uint32_t op_index, const char *promise_id, const char *detail)
{
    struct oracle *o = arg;
    (void)op_index;
    broken(o, promise_id, "%s", detail);
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
        if (o->live[i].address != 0 && place_left_whole(&o->live[i]).words != 0)
            atomic_store(&o->child->slot_seen, 1 + i);
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
                            bool off)
{
    static struct oracle oracle;
    long page =
        raw_call6(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (raw_failed(page))
        return NULL;
    oracle = (struct oracle){.variant = variant,
                             .claims = claims,
                             .off = off,
                             .locks_seen = memory_locks_can_be_seen(),
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
    if (!o->off) {
        o->locked_before = memory_locked_bytes();
        ledger_watch(on_release, o);
    }
    ledger_arm(false);
    ledger_fail(0, 0, 0, false, false);
}

void oracle_finish(struct oracle *o)
{
    if (o->died && !o->off && !o->damaged && o->operation != NULL &&
        o->operation->code == MODEL_MISUSE)
        after_noticed_misuse(o);
    ledger_watch(NULL, NULL);
    ledger_fail(0, 0, 0, false, false);
    o->operation = NULL;
}

const struct violation *oracle_violation(const struct oracle *oracle)
{
    return &oracle->violation;
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
