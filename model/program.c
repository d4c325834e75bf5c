/* SPDX-License-Identifier: MIT */
/*
 * program.c: sizes, and programs as bytes.
 *
 * Every operation has one canonical form: fields that its line in program.h does not mention are
 * 0, the others are in range. Decoding reduces to it, which is what makes the round trips exact.
 */
#include "program.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "forms.h"

const struct form model_forms[MODEL_CODES] = {
    [MODEL_LIMIT] = {"limit", {OPERAND_SIZE}},
    [MODEL_OPEN] = {"open", {OPERAND_SIZE_OPTIONAL}},
    [MODEL_CLOSE] = {"close", {OPERAND_END}},
    [MODEL_FAIL] = {"fail", {OPERAND_CALL, OPERAND_NTH, OPERAND_ERRNO, OPERAND_AFTER, OPERAND_ON}},
    [MODEL_HEAL] = {"heal", {OPERAND_END}},
    [MODEL_BATON] = {"baton", {OPERAND_END}},
    [MODEL_ALLOC] = {"alloc", {OPERAND_SLOT, OPERAND_SIZE}},
    [MODEL_ALLOC_ALIGNED] = {"alloc-aligned", {OPERAND_SLOT, OPERAND_SIZE, OPERAND_ALIGN}},
    [MODEL_FREE] = {"free", {OPERAND_SLOT}},
    [MODEL_RESIZE] = {"resize", {OPERAND_SLOT, OPERAND_SIZE}},
    [MODEL_FILL] = {"fill", {OPERAND_SLOT, OPERAND_USABLE}},
    [MODEL_CHECK] = {"check", {OPERAND_SLOT}},
    [MODEL_LOOK] = {"look", {OPERAND_SLOT}},
    [MODEL_PEEK] = {"peek", {OPERAND_SLOT}},
    [MODEL_PROTECT] = {"protect", {OPERAND_SLOT, OPERAND_ACCESS}},
    [MODEL_TOUCH] = {"touch", {OPERAND_SLOT, OPERAND_SIDE, OPERAND_WAY, OPERAND_SIZE}},
    [MODEL_WALK] = {"walk", {OPERAND_SLOT, OPERAND_OUTSIDE, OPERAND_SIZE}},
    [MODEL_SMASH] = {"smash", {OPERAND_SLOT, OPERAND_OUTSIDE, OPERAND_SIZE}},
    [MODEL_STALE] = {"stale", {OPERAND_SLOT, OPERAND_WAY}},
    [MODEL_MISUSE] = {"misuse", {OPERAND_SLOT, OPERAND_MISUSE, OPERAND_OFFSET}},
    [MODEL_FORK] = {"fork", {OPERAND_PROCESS, OPERAND_USE}},
    [MODEL_CROWD] = {"crowd", {OPERAND_SIZE, OPERAND_COUNT}},
    [MODEL_CROWD_LOOK] = {"crowd-look", {OPERAND_END}},
    [MODEL_CROWD_FREE] = {"crowd-free", {OPERAND_ORDER}},
    [MODEL_STORM] = {"storm", {OPERAND_SIZE, OPERAND_ROUNDS, OPERAND_THREADS}},
};

#define ALL_BITS 0xff
const struct form_words model_words[OPERAND_WORDS] = {
    [OPERAND_ACCESS] = {"an access", {"none", "read", "read-write"}, 3, ALL_BITS, 1},
    [OPERAND_SIDE] = {"a side", {"after", "before", "inside"}, MODEL_SIDES, 3, 1},
    [OPERAND_OUTSIDE] = {"a side", {"after", "before"}, 2, ALL_BITS, 1},
    [OPERAND_WAY] = {"an access", {"read", "write"}, 2, MODEL_TOUCH_WRITE, MODEL_TOUCH_WRITE},
    [OPERAND_MISUSE] = {"a misuse",
                        {"double-free", "interior-free", "foreign-free", "wrong-size"},
                        MODEL_MISUSES,
                        ALL_BITS,
                        1},
    [OPERAND_PROCESS] = {"a kind of fork", {"libc", "raw"}, 2, MODEL_FORK_RAW, MODEL_FORK_RAW},
    [OPERAND_ORDER] = {"an order", {"first", "last", "every-other"}, MODEL_ORDERS, ALL_BITS, 1},
    [OPERAND_CALL] = {"a system call",
                      {"lock", "mmap", "mprotect", "madvise", "munmap", "munlock", "memfd-secret",
                       "getrandom"},
                      MODEL_CALLS,
                      ALL_BITS,
                      1},
};

/* ------------------------------------------------------------------------------------- sizes */

#define RAW(bytes)              \
    {                           \
        MODEL_SIZE_RAW, (bytes) \
    }
#define PAGES(pages, bytes)                                                     \
    {                                                                           \
        MODEL_SIZE_PAGES, (int32_t)((uint32_t)(pages) << 16 | ((bytes)&0xffff)) \
    }

/* Around size classes, pages, and what wraps when a header, a guard or a page is added. */
static const struct model_size interesting[MODEL_SIZE_TABLE_ENTRIES] = {
    RAW(0),
    RAW(1),
    RAW(2),
    RAW(3),
    RAW(4),
    RAW(7),
    RAW(8),
    RAW(9),
    RAW(12),
    RAW(15),
    RAW(16),
    RAW(17),
    RAW(24),
    RAW(31),
    RAW(32),
    RAW(33),
    RAW(47),
    RAW(48),
    RAW(49),
    RAW(63),
    RAW(64),
    RAW(65),
    RAW(96),
    RAW(127),
    RAW(128),
    RAW(129),
    RAW(192),
    RAW(255),
    RAW(256),
    RAW(257),
    RAW(511),
    RAW(512),
    RAW(513),
    RAW(1000),
    RAW(1023),
    RAW(1024),
    RAW(1025),
    RAW(2047),
    RAW(2048),
    RAW(2049),
    PAGES(1, -64),
    PAGES(1, -32),
    PAGES(1, -16),
    PAGES(1, -8),
    PAGES(1, -1),
    PAGES(1, 0),
    PAGES(1, 1),
    PAGES(1, 16),
    PAGES(2, -16),
    PAGES(2, -1),
    PAGES(2, 0),
    PAGES(2, 1),
    PAGES(3, 0),
    PAGES(4, -1),
    PAGES(4, 0),
    PAGES(4, 1),
    PAGES(8, 0),
    PAGES(16, 0),
    PAGES(16, 1),
    {MODEL_SIZE_HALF, 0},
    PAGES(-2, 0),
    PAGES(-1, 0),
    {MODEL_SIZE_MAX, 15},
    {MODEL_SIZE_MAX, 0},
};

struct model_size model_size_interesting(unsigned index)
{
    return interesting[index % MODEL_SIZE_TABLE_ENTRIES];
}

size_t model_size_bytes(struct model_size size, size_t page_bytes)
{
    /* Conversions to size_t wrap on purpose: "-1" is SIZE_MAX. */
    size_t value = (size_t)(ptrdiff_t)size.value;
    switch (size.kind) {
    case MODEL_SIZE_PAGES:
        return (size_t)(ptrdiff_t)(size.value >> 16) * page_bytes +
               (size_t)(ptrdiff_t)(int16_t)size.value;
    case MODEL_SIZE_MAX:
        return SIZE_MAX - value;
    case MODEL_SIZE_HALF:
        return SIZE_MAX / 2 + value;
    case MODEL_SIZE_TABLE:
        return model_size_bytes(model_size_interesting((unsigned)size.value), page_bytes);
    default:
        return value;
    }
}

static struct model_size size_reduced(struct model_size size)
{
    size.kind = (uint8_t)(size.kind % MODEL_SIZE_KINDS);
    if (size.kind == MODEL_SIZE_TABLE)
        size.value = (int32_t)((uint32_t)size.value % MODEL_SIZE_TABLE_ENTRIES);
    return size;
}

/* ----------------------------------------------------------------------------- canonical form */

static int32_t fault_reduced(int32_t value)
{
    int32_t fault = value & (MODEL_FAIL_ERRNO | MODEL_FAIL_AFTER | MODEL_FAIL_ON);
    return (fault & MODEL_FAIL_ERRNO) == 0 ? fault | ENOMEM : fault;
}

/* Takes over into `to` the part of `from` that this operand is about. */
static void operand_reduce(enum operand operand, const struct model_operation *from,
                           struct model_operation *to)
{
    switch (operand) {
    case OPERAND_SLOT:
        to->slot = from->slot % MODEL_SLOTS;
        break;
    case OPERAND_SIZE:
    case OPERAND_SIZE_OPTIONAL:
        to->size = size_reduced(from->size);
        break;
    case OPERAND_OFFSET:
        if (form_has_offset(to))
            to->size = size_reduced(from->size);
        break;
    case OPERAND_ALIGN:
        to->arg = from->arg % FORM_ALIGN_LOG2S;
        break;
    case OPERAND_COUNT:
        to->arg = from->arg == MODEL_CROWD_FULL ? from->arg : from->arg % FORM_CROWD_LOG2S;
        break;
    case OPERAND_NTH:
        to->slot = from->slot == 0 ? 1 : from->slot;
        break;
    case OPERAND_ROUNDS:
        to->arg = from->arg % FORM_STORM_LOG2S;
        break;
    case OPERAND_THREADS:
        to->slot = from->slot >= 2 && from->slot <= MODEL_STORM_THREADS_MAX
                       ? from->slot
                       : (uint8_t)(2 + from->slot % (MODEL_STORM_THREADS_MAX - 1));
        break;
    case OPERAND_ERRNO:
        to->size.value = fault_reduced(from->size.value);
        break;
    case OPERAND_USE:
        to->arg |= from->arg & MODEL_FORK_USE;
        break;
    case OPERAND_USABLE:
        to->arg |= from->arg & MODEL_FILL_USABLE;
        break;
    case OPERAND_AFTER:
    case OPERAND_ON: /* kept by OPERAND_ERRNO */
    case OPERAND_END:
    case OPERAND_KINDS:
        break;
    default:
        to->arg |= (uint8_t)(form_word_index(operand, from->arg) * model_words[operand].scale);
    }
}

struct model_operation model_operation_canonical(const struct model_operation *operation)
{
    struct model_operation to = {.code = operation->code % MODEL_CODES};
    const uint8_t *operands = model_forms[to.code].operands;
    for (unsigned i = 0; i < FORM_OPERANDS_MAX && operands[i] != OPERAND_END; i++)
        operand_reduce((enum operand)operands[i], operation, &to);
    return to;
}

/* -------------------------------------------------------------------------------------- bytes */

static const uint8_t magic[3] = {'S', 'R', 'P'};

static struct model_operation record_read(const uint8_t *record)
{
    uint32_t value = (uint32_t)record[4] | (uint32_t)record[5] << 8 | (uint32_t)record[6] << 16 |
                     (uint32_t)record[7] << 24;
    struct model_operation raw = {.code = record[0],
                                  .slot = record[1],
                                  .arg = record[2],
                                  .size = {.kind = record[3], .value = (int32_t)value}};
    return model_operation_canonical(&raw);
}

static void record_write(const struct model_operation *operation, uint8_t *record)
{
    uint32_t value = (uint32_t)operation->size.value;
    record[0] = operation->code;
    record[1] = operation->slot;
    record[2] = operation->arg;
    record[3] = operation->size.kind;
    for (unsigned i = 0; i < 4; i++)
        record[4 + i] = (uint8_t)(value >> (8 * i));
}

void model_program_decode(struct model_program *program, const uint8_t *bytes, size_t count_bytes)
{
    size_t at = 0;
    program->flags = 0;
    program->count = 0;
    if (count_bytes >= MODEL_RECORD_BYTES && memcmp(bytes, magic, sizeof magic) == 0) {
        /* The version is for people and tools that file programs; all versions read alike. */
        program->flags = bytes[4] & MODEL_KEEP_IPC_LOCK;
        at = MODEL_RECORD_BYTES;
    }
    for (; count_bytes - at >= MODEL_RECORD_BYTES && program->count < MODEL_OPERATIONS_MAX;
         at += MODEL_RECORD_BYTES)
        program->operations[program->count++] = record_read(bytes + at);
}

static void put(uint8_t *out, size_t out_bytes, size_t at, const uint8_t *record)
{
    if (at < out_bytes)
        memcpy(out + at, record,
               out_bytes - at < MODEL_RECORD_BYTES ? out_bytes - at : MODEL_RECORD_BYTES);
}

size_t model_program_encode(const struct model_program *program, uint8_t *out, size_t out_bytes)
{
    uint8_t record[MODEL_RECORD_BYTES] = {magic[0], magic[1], magic[2], MODEL_PROGRAM_VERSION,
                                          (uint8_t)(program->flags & MODEL_KEEP_IPC_LOCK)};
    size_t at = 0;
    put(out, out_bytes, at, record);
    at += MODEL_RECORD_BYTES;
    for (size_t i = 0; i < program->count; i++, at += MODEL_RECORD_BYTES) {
        record_write(&program->operations[i], record);
        put(out, out_bytes, at, record);
    }
    return at;
}

struct model_program *model_program_copy(const struct model_program *program)
{
    size_t size_bytes =
        offsetof(struct model_program, operations) + program->count * sizeof program->operations[0];
    struct model_program *copy = malloc(size_bytes);
    return copy != NULL ? memcpy(copy, program, size_bytes) : NULL;
}
