/* SPDX-License-Identifier: MIT */
/* admit.c: see admit.h. */
#include "fuzz/admit.h"

#include <string.h>

#define FORKS_ONE_IN 100u
#define NONCE_AT 5u /* two of the three spare bytes of the header record */
#define CROWD_LOG2_MAX 6u

const char *const claim_ids[CLAIMS] = {
    [CLAIM_ALL_ZERO] = "all-zero",
    [CLAIM_BAD_FREE] = "bad-free",
    [CLAIM_DOUBLE_FREE] = "double-free",
    [CLAIM_FAULT_HYGIENE] = "fault-hygiene",
    [CLAIM_FORK] = "fork",
    [CLAIM_GUARD_AFTER] = "guard-after",
    [CLAIM_GUARD_BEFORE] = "guard-before",
    [CLAIM_OVERRUN] = "overrun-caught",
    [CLAIM_REOPEN] = "reopen",
    [CLAIM_STATES] = "states",
    [CLAIM_UNDERRUN] = "underrun-caught",
    [CLAIM_UNREADABLE] = "unreadable",
    [CLAIM_USE_AFTER_FREE] = "use-after-free",
    [CLAIM_ZERO_ON_CLOSE] = "zero-on-close",
};

struct claims claims_of(const struct secret_alloc *variant)
{
    struct claims claims = {0};
    for (size_t i = 0; variant->claims != NULL && variant->claims[i] != NULL; i++)
        for (unsigned c = 0; c < CLAIMS; c++)
            if (strcmp(variant->claims[i], claim_ids[c]) == 0)
                claims.made[c] = true;
    return claims;
}

uint32_t admit_hash(const uint8_t *bytes, size_t count_bytes)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < count_bytes; i++)
        hash = (hash ^ bytes[i]) * 16777619u;
    return hash;
}

bool admit_may_fork(const uint8_t *bytes, size_t count_bytes)
{
    return admit_hash(bytes, count_bytes) % FORKS_ONE_IN == 0;
}

void admit_grant_fork(uint8_t *bytes, size_t count_bytes)
{
    struct model_program program;
    bool wants = false;
    model_program_decode(&program, bytes, count_bytes);
    for (size_t i = 0; i < program.count; i++)
        wants = wants || program.operations[i].code == MODEL_FORK;
    for (unsigned nonce = 0; wants && nonce < 0x10000 && !admit_may_fork(bytes, count_bytes);
         nonce++) {
        bytes[NONCE_AT] = (uint8_t)nonce;
        bytes[NONCE_AT + 1] = (uint8_t)(nonce >> 8);
    }
}

static bool misuse_is_noticed(const struct model_operation *op, const struct claims *claims)
{
    switch (op->arg) {
    case MODEL_DOUBLE_FREE:
        return claims->made[CLAIM_DOUBLE_FREE];
    case MODEL_INTERIOR_FREE:
    case MODEL_FOREIGN_FREE:
        return claims->made[CLAIM_BAD_FREE];
    default: /* a wrong size is no misuse to those who do not look at it */
        return false;
    }
}

static bool smash_is_noticed(const struct model_operation *op, const struct claims *claims)
{
    return claims->made[op->arg == MODEL_BEFORE ? CLAIM_UNDERRUN : CLAIM_OVERRUN];
}

static bool has_guard(const struct model_operation *op, const struct claims *claims)
{
    unsigned side = op->arg & ~MODEL_TOUCH_WRITE;
    return side == MODEL_INSIDE ||
           claims->made[side == MODEL_BEFORE ? CLAIM_GUARD_BEFORE : CLAIM_GUARD_AFTER];
}

/* False: it is taken out. */
static bool reduce(struct model_operation *op, const struct secret_alloc *variant,
                   const struct claims *claims, bool may_fork)
{
    bool tells = (variant->flags & SECRET_ALLOC_USES_FATAL) != 0 && !claims->has_threads;
    switch (op->code) {
    case MODEL_STORM:
        return false;
    case MODEL_FORK:
        return may_fork;
    case MODEL_MISUSE:
        return tells && misuse_is_noticed(op, claims);
    case MODEL_SMASH:
        return tells && smash_is_noticed(op, claims);
    case MODEL_CROWD:
        if (op->arg != MODEL_CROWD_FULL && op->arg > CROWD_LOG2_MAX)
            op->arg = CROWD_LOG2_MAX;
        return true;
    case MODEL_TOUCH:
        if (!has_guard(op, claims))
            op->arg = (uint8_t)(op->arg & ~MODEL_TOUCH_WRITE);
        return true;
    case MODEL_FAIL:
        if (op->arg != MODEL_CALL_LOCK)
            op->size.value &= ~MODEL_FAIL_AFTER;
        return true;
    default:
        return true;
    }
}

void admit(struct model_program *program, const struct secret_alloc *variant,
           const struct claims *claims, bool may_fork, uint32_t *original_index)
{
    size_t kept = 0;
    bool ended = false;
    program->flags = 0;
    for (size_t i = 0; i < program->count && !ended && kept + 1 < ADMIT_OPERATIONS_MAX; i++) {
        struct model_operation op = program->operations[i];
        if (!reduce(&op, variant, claims, may_fork))
            continue;
        original_index[kept] = (uint32_t)i;
        program->operations[kept++] = op;
        ended = op.code == MODEL_SMASH;
        if (!ended)
            continue;
        original_index[kept] = (uint32_t)i;
        program->operations[kept++] = (struct model_operation){.code = MODEL_FREE, .slot = op.slot};
    }
    program->count = kept;
}
