/* SPDX-License-Identifier: MIT */
/* oracle_bytes.c: secrets alive and dead, byte by byte; see oracle_parts.h. */
#include "fuzz/oracle_parts.h"

struct place_look {
    const struct place *place;
    struct left left;
};

static bool place_look(void *arg, uintptr_t at, const unsigned char *bytes, size_t size_bytes)
{
    struct place_look *look = arg;
    const struct place *p = look->place;
    size_t skip = (8 - (at - p->address) % 8) % 8; /* to the next word of the secret */
    look->left.readable += size_bytes;
    look->left.nonzero += secrets_nonzero(bytes, size_bytes);
    if (p->fill != 0 && skip < size_bytes && look->left.nonzero != 0)
        look->left.words += secrets_words_in_place(p->fill, at + skip - p->address, bytes + skip,
                                                   size_bytes - skip);
    return true;
}

struct left oracle_place_left(const struct place *p, size_t from, size_t to, uintptr_t start,
                              uintptr_t end)
{
    struct place_look look = {.place = p};
    uintptr_t a = p->address + from, b = p->address + to;
    a = a > start ? a : start;
    b = b < end ? b : end;
    if (b <= a || p->address + to < p->address)
        return look.left;
    memory_visit(a, b - a < PLACE_BYTES_MAX ? b - a : PLACE_BYTES_MAX, place_look, &look);
    struct left left = look.left;
    /* A short secret has no whole word: four bytes that stand are no chance, and no wipe. */
    if (left.words == 0 && p->fill != 0 && from == 0 && a == p->address && p->known_bytes >= 4 &&
        p->known_bytes < SECRETS_WORD_BYTES && left.readable >= p->known_bytes) {
        unsigned char bytes[SECRETS_WORD_BYTES];
        left.words = memory_read(a, bytes, p->known_bytes) == p->known_bytes &&
                     secrets_match(p->fill, 0, bytes, p->known_bytes);
    }
    return left;
}

size_t oracle_place_bytes(const struct place *p)
{
    return p->usable_bytes > p->size_bytes ? p->usable_bytes : p->size_bytes;
}

struct left oracle_place_left_whole(const struct place *p)
{
    return oracle_place_left(p, 0, oracle_place_bytes(p), 0, UINTPTR_MAX);
}

/* ---- alive ---- */

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
void oracle_check_fresh(struct oracle *o, uintptr_t address, size_t size_bytes, size_t from,
                        uint32_t fill)
{
    if (size_bytes <= from || address + size_bytes < address)
        return;
    oracle_made(o, ORACLE_FRESH);
    struct fresh_look look = {.p = (const unsigned char *)address,
                              .size_bytes =
                                  size_bytes < PLACE_BYTES_MAX ? size_bytes : PLACE_BYTES_MAX,
                              .from = from,
                              .own = fill};
    if (!memory_try(fresh_look, &look))
        oracle_broken(o, "sizes", "the %zu new bytes at 0x%" PRIxPTR " cannot be read", size_bytes,
                      address);
    else if (look.found)
        oracle_broken(o, "fresh",
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
bool oracle_ends_match(const struct place *p)
{
    struct ends ends = {.place = p};
    if (p->fill == 0 || p->access == SECRET_ACCESS_NONE)
        return true;
    return memory_try(ends_compare, &ends) && ends.match;
}

/* Whom the kernel lets read memory of another process gets nothing of this. Both ends: they may be of two kinds. */
void oracle_check_unreadable(struct oracle *o, const struct place *p)
{
    unsigned char byte;
    if (!o->claims->made[CLAIM_UNREADABLE] || p->known_bytes == 0)
        return;
    oracle_made(o, ORACLE_UNREADABLE);
    if (memory_read(p->address, &byte, 1) != 0 ||
        memory_read(p->address + p->known_bytes - 1, &byte, 1) != 0)
        oracle_broken(o, "unreadable", "%zu bytes at 0x%" PRIxPTR " can be read by /proc/self/mem",
                      p->size_bytes, p->address);
}

/* ---- dead ---- */

/* What cannot be made writable cannot be wiped: it may stay, locked, until it can. What is writable is wiped. */
bool oracle_may_stay(const struct oracle *o, const struct place *p)
{
    return o->cannot_open && (p->unsure || p->access != SECRET_ACCESS_READ_WRITE);
}

/* A secret whose memory its owner gave up. */
void oracle_check_dead(struct oracle *o, const struct place *p, const char *promise_id,
                       enum oracle_check check)
{
    if (oracle_may_stay(o, p))
        return;
    struct left left = oracle_place_left_whole(p);
    oracle_made(o, check);
    if (left.words != 0)
        oracle_broken(o, promise_id,
                      "%zu words of secret %u are left in its %zu bytes at 0x%" PRIxPTR, left.words,
                      p->fill, oracle_place_bytes(p), p->address);
    else if (o->claims->made[CLAIM_ALL_ZERO] && left.nonzero != 0 && check == ORACLE_FREED_PLACE)
        oracle_broken(o, "all-zero", "%zu of the %zu bytes at 0x%" PRIxPTR " are not zero",
                      left.nonzero, left.readable, p->address);
}

/* Later: others may rightly have moved in, with other words. */
void oracle_check_peek(struct oracle *o, const struct place *p)
{
    struct left left = oracle_place_left_whole(p);
    if (left.words != 0)
        oracle_broken(o, "zero-on-free", "%zu words of freed secret %u came back at 0x%" PRIxPTR,
                      left.words, p->fill, p->address);
}

/* The tail that a shrunk secret gave up in place. */
void oracle_check_tail(struct oracle *o, const struct place *old, size_t new_bytes)
{
    size_t from = (new_bytes + 7) & ~(size_t)7;
    struct left left = oracle_place_left(old, from, old->known_bytes, 0, UINTPTR_MAX);
    if (left.words != 0)
        oracle_broken(
            o, "zero-on-resize",
            "%zu words of secret %u are left behind the %zu bytes it was cut to, at 0x%" PRIxPTR,
            left.words, old->fill, new_bytes, old->address);
}
