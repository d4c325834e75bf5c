/* SPDX-License-Identifier: MIT */
/* oracle_released.c: memory on its way out of the subject's care; see oracle_parts.h. */
#include "fuzz/oracle_parts.h"

#define RELEASE_BYTES_MAX ((size_t)256 << 10) /* of one release that is searched */

static bool is_live(const struct oracle *o, uint32_t fill)
{
    for (unsigned i = 0; i < MODEL_SLOTS; i++)
        if (o->live[i].address != 0 && o->live[i].fill == fill)
            return true;
    return o->crowd_count > 0 && fill >= o->crowd_first_fill; /* which of them is not known */
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
    size_t bytes = oracle_place_bytes(p);
    struct left left = oracle_place_left(p, 0, bytes, start, end);
    if (left.words != 0)
        oracle_broken(
            o, release_promise(o),
            "memory was given back with %zu words of secret %u in its %zu bytes at 0x%" PRIxPTR,
            left.words, p->fill, bytes, p->address);
    else if (left.nonzero != 0 && o->operation->code == MODEL_FREE &&
             o->claims->made[CLAIM_ALL_ZERO])
        oracle_broken(o, "all-zero",
                      "memory was given back with %zu of the %zu bytes at 0x%" PRIxPTR " not zero",
                      left.nonzero, left.readable, p->address);
}

/* The first word of a secret that is nobody's. */
static bool search_piece(void *arg, uintptr_t at, const unsigned char *bytes, size_t size_bytes)
{
    struct oracle *o = arg;
    struct secrets_word word;
    for (size_t from = 0; secrets_find(bytes, size_bytes, from, &word);
         from = word.at + SECRETS_WORD_BYTES) {
        if (is_live(o, word.fill))
            continue;
        oracle_broken(o, release_promise(o),
                      "memory at 0x%" PRIxPTR " was given back with a word of dead secret %u in it",
                      at + word.at, word.fill);
        return false;
    }
    return true;
}

/* Words of secrets that are nobody's, anywhere in what is given back. */
static void release_search(struct oracle *o, uintptr_t start, size_t size_bytes)
{
    memory_visit(start, size_bytes < RELEASE_BYTES_MAX ? size_bytes : RELEASE_BYTES_MAX,
                 search_piece, o);
}

void oracle_on_release(void *arg, long call, uintptr_t address, size_t size_bytes)
{
    struct oracle *o = arg;
    (void)call;
    if (o->operation == NULL || o->damaged || o->violation.promise_id[0] != '\0')
        return;
    uintptr_t end = size_bytes == SIZE_MAX || address + size_bytes < address ? UINTPTR_MAX
                                                                             : address + size_bytes;
    oracle_made(o, ORACLE_RELEASED);
    for (unsigned i = 0; i < MODEL_SLOTS; i++)
        if (o->live[i].address != 0 && is_dying(o, i))
            release_of(o, &o->live[i], address, end);
    if (size_bytes != SIZE_MAX)
        release_search(o, address, size_bytes);
}
