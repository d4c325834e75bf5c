/* SPDX-License-Identifier: MIT */
/* mutate.c: see mutate.h. */
#include "fuzz/mutate.h"

#include <stdbool.h>
#include <string.h>

#include "model/program.h"

/* ---- chance: splitmix64 (Steele, Lea, Flood 2014) ---- */

static uint64_t next(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static unsigned below(uint64_t *state, size_t bound)
{
    return (unsigned)(next(state) % bound);
}

/* ---- single operations ---- */

/* How often each is made, of the sum. */
static const uint8_t weights[MODEL_CODES] = {
    [MODEL_LIMIT] = 2, [MODEL_OPEN] = 3,   [MODEL_CLOSE] = 3,      [MODEL_FAIL] = 5,
    [MODEL_HEAL] = 2,  [MODEL_BATON] = 1,  [MODEL_ALLOC] = 20,     [MODEL_ALLOC_ALIGNED] = 5,
    [MODEL_FREE] = 14, [MODEL_RESIZE] = 8, [MODEL_FILL] = 14,      [MODEL_CHECK] = 3,
    [MODEL_LOOK] = 1,  [MODEL_PEEK] = 1,   [MODEL_PROTECT] = 6,    [MODEL_TOUCH] = 6,
    [MODEL_WALK] = 2,  [MODEL_SMASH] = 3,  [MODEL_STALE] = 1,      [MODEL_MISUSE] = 4,
    [MODEL_FORK] = 1,  [MODEL_CROWD] = 2,  [MODEL_CROWD_LOOK] = 1, [MODEL_CROWD_FREE] = 2,
};

static uint8_t some_code(uint64_t *r)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < MODEL_CODES; i++)
        sum += weights[i];
    unsigned at = below(r, sum);
    for (unsigned i = 0; i < MODEL_CODES; i++) {
        if (at < weights[i])
            return (uint8_t)i;
        at -= weights[i];
    }
    return MODEL_ALLOC;
}

static struct model_size some_size(uint64_t *r)
{
    switch (below(r, 8)) {
    case 0: /* pages, and a little more or less */
        return (struct model_size){
            .kind = MODEL_SIZE_PAGES,
            .value = (int32_t)((1 + below(r, 24)) << 16 | (uint16_t)(below(r, 33) - 16))};
    case 1:
        return (struct model_size){.kind = MODEL_SIZE_RAW, .value = (int32_t)below(r, 20000)};
    case 2:
        return (struct model_size){.kind = MODEL_SIZE_RAW, .value = (int32_t)below(r, 130)};
    default:
        return (struct model_size){.kind = MODEL_SIZE_TABLE,
                                   .value = (int32_t)below(r, MODEL_SIZE_TABLE_ENTRIES)};
    }
}

/* An errno that such calls fail with, in full: EPERM, EINTR, EAGAIN, ENOMEM, EINVAL, ENOSYS. */
static int32_t some_fault(uint64_t *r)
{
    static const uint8_t errors[] = {1, 4, 11, 12, 22, 38};
    int32_t flags =
        (below(r, 4) == 0 ? MODEL_FAIL_AFTER : 0) | (below(r, 3) == 0 ? MODEL_FAIL_ON : 0);
    return errors[below(r, sizeof errors)] | flags;
}

/* Past an end: distances at which something may stand. */
static struct model_size some_distance(uint64_t *r)
{
    static const int32_t distances[] = {0, 1, 7, 8, 15, 16, 31, 63};
    if (below(r, 4) == 0)
        return (struct model_size){.kind = MODEL_SIZE_PAGES, .value = 0x10000 | 0xffff};
    return (struct model_size){.kind = MODEL_SIZE_RAW, .value = distances[below(r, 8)]};
}

static struct model_operation some_operation(uint64_t *r)
{
    struct model_operation op = {.code = some_code(r),
                                 .slot = (uint8_t)below(r, below(r, 8) == 0 ? MODEL_SLOTS : 6),
                                 .arg = (uint8_t)next(r),
                                 .size = some_size(r)};
    if (op.code == MODEL_FAIL) {
        op.slot = (uint8_t)(1 + below(r, 4));
        op.size.value = some_fault(r);
    } else if (op.code == MODEL_TOUCH || op.code == MODEL_SMASH || op.code == MODEL_MISUSE) {
        op.size = some_distance(r);
    } else if (op.code == MODEL_CROWD && below(r, 4) == 0) {
        op.arg = MODEL_CROWD_FULL;
    } else if (op.code == MODEL_OPEN && below(r, 4) != 0) {
        op.size = (struct model_size){0};
    } else if (op.code == MODEL_ALLOC_ALIGNED) {
        op.arg = (uint8_t)below(r, 15);
    }
    return model_operation_canonical(&op);
}

static void alter(struct model_operation *op, uint64_t *r)
{
    switch (below(r, 6)) {
    case 0:
        op->slot = (uint8_t)below(r, 6);
        break;
    case 1:
        op->arg = (uint8_t)next(r);
        break;
    case 2:
        op->size =
            op->code == MODEL_FAIL ? (struct model_size){.value = some_fault(r)} : some_size(r);
        break;
    case 3:
        op->size.value = (int32_t)((uint32_t)op->size.value + below(r, 3) - 1u);
        break;
    case 4:
        op->size.value ^= (int32_t)(1u << below(r, 32));
        break;
    default:
        op->code = some_code(r);
    }
    *op = model_operation_canonical(op);
}

/* ---- programs ---- */

static void insert(struct model_program *p, size_t at, const struct model_operation *ops,
                   size_t count)
{
    if (p->count + count > MUTATE_OPERATIONS_MAX || at > p->count)
        return;
    memmove(&p->operations[at + count], &p->operations[at], (p->count - at) * sizeof *ops);
    memcpy(&p->operations[at], ops, count * sizeof *ops);
    p->count += count;
}

static void take_out(struct model_program *p, size_t at, size_t count)
{
    if (at >= p->count)
        return;
    count = count < p->count - at ? count : p->count - at;
    memmove(&p->operations[at], &p->operations[at + count],
            (p->count - at - count) * sizeof p->operations[0]);
    p->count -= count;
}

/* What mostly goes together. */
static void insert_life(struct model_program *p, uint64_t *r)
{
    uint8_t slot = (uint8_t)below(r, 6);
    struct model_operation life[] = {
        {.code = MODEL_ALLOC, .slot = slot, .size = some_size(r)},
        {.code = MODEL_FILL, .slot = slot, .arg = MODEL_FILL_USABLE},
        {.code = MODEL_FREE, .slot = slot},
    };
    insert(p, below(r, p->count + 1), life, 1 + below(r, 3));
}

static void copy_stretch(struct model_program *p, uint64_t *r)
{
    struct model_operation stretch[8];
    size_t from = below(r, p->count), count = 1 + below(r, 8);
    count = count < p->count - from ? count : p->count - from;
    memcpy(stretch, &p->operations[from], count * sizeof stretch[0]);
    insert(p, below(r, p->count + 1), stretch, count);
}

static void change(struct model_program *p, uint64_t *r)
{
    struct model_operation new = some_operation(r);
    if (p->count == 0) {
        insert(p, 0, &new, 1);
        return;
    }
    size_t at = below(r, p->count);
    switch (below(r, 8)) {
    case 0:
        take_out(p, at, 1 + below(r, 3));
        break;
    case 1:
        copy_stretch(p, r);
        break;
    case 2: {
        size_t other = below(r, p->count);
        new = p->operations[at];
        p->operations[at] = p->operations[other];
        p->operations[other] = new;
        break;
    }
    case 3:
        insert_life(p, r);
        break;
    case 4:
    case 5:
        alter(&p->operations[at], r);
        break;
    default:
        insert(p, below(r, p->count + 1), &new, 1);
    }
}

static void decode(struct model_program *p, const uint8_t *in, size_t in_bytes)
{
    model_program_decode(p, in, in_bytes);
    if (p->count > MUTATE_OPERATIONS_MAX)
        p->count = MUTATE_OPERATIONS_MAX;
}

/* As many whole records as there is room for. */
static size_t encode(struct model_program *p, uint8_t *out, size_t out_bytes)
{
    size_t room = out_bytes / MODEL_RECORD_BYTES;
    if (room == 0)
        return 0;
    if (p->count > room - 1)
        p->count = room - 1;
    return model_program_encode(p, out, out_bytes);
}

size_t mutate(const uint8_t *in, size_t in_bytes, uint8_t *out, size_t out_bytes, uint64_t seed)
{
    struct model_program p;
    uint64_t r = seed;
    decode(&p, in, in_bytes);
    for (unsigned left = 1 + below(&r, 1u << below(&r, 4)); left > 0; left--)
        change(&p, &r);
    size_t length = encode(&p, out, out_bytes);
    if (below(&r, 16) == 0 && length > 0)
        out[below(&r, length)] ^= (uint8_t)(1u << below(&r, 8));
    return length;
}

size_t mutate_splice(const uint8_t *first, size_t first_bytes, const uint8_t *second,
                     size_t second_bytes, uint8_t *out, size_t out_bytes, uint64_t seed)
{
    struct model_program a, b;
    uint64_t r = seed;
    decode(&a, first, first_bytes);
    decode(&b, second, second_bytes);
    a.count = below(&r, a.count + 1);
    size_t from = below(&r, b.count + 1);
    size_t room = MUTATE_OPERATIONS_MAX - a.count, count = b.count - from;
    insert(&a, a.count, &b.operations[from], count < room ? count : room);
    return encode(&a, out, out_bytes);
}

size_t mutate_count(const uint8_t *in, size_t in_bytes)
{
    struct model_program p;
    model_program_decode(&p, in, in_bytes);
    return p.count;
}

size_t mutate_without(const uint8_t *in, size_t in_bytes, size_t from, size_t count, uint8_t *out,
                      size_t out_bytes)
{
    struct model_program p;
    model_program_decode(&p, in, in_bytes);
    take_out(&p, from, count);
    return encode(&p, out, out_bytes);
}
