/* SPDX-License-Identifier: MIT */
/*
 * oracle_parts.h: what the parts of the oracle share: its state, and what each of them offers the others.
 *
 *   oracle.c            begins and ends programs; after each operation, who looks
 *   oracle_calls.c      allocate, free, resize, open, close: what is to be looked at, and when
 *   oracle_bytes.c      secrets alive and dead, byte by byte
 *   oracle_locks.c      locks of the living, and the quota
 *   oracle_released.c   memory on its way out of the subject's care
 *   oracle_touches.c    guards, access, overwriting, misuse, children, crashes
 */
#ifndef FUZZ_ORACLE_PARTS_H
#define FUZZ_ORACLE_PARTS_H

#include "fuzz/oracle.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

#include "fuzz/secrets.h"
#include "fuzz/self.h"
#include "model/tools.h"

#define PLACE_BYTES_MAX ((size_t)1 << 20) /* of one place that is looked at */
#define ENDS_BYTES 64u                    /* of a neighbour, at each end */
#define IGNORED_BYTES 256u

/* A secret as this side knows it. */
struct place {
    uintptr_t address; /* 0: none */
    size_t size_bytes, usable_bytes, align_bytes;
    size_t known_bytes; /* its first ones that are those of fill */
    uint32_t fill;
    uint8_t access;
    bool unsure; /* of its access: the call that was to change it failed */
    bool moved;  /* resized since its access was set: the contract does not say what it is then */
};

/* What a forked child found; on a page that it shares with its parent. */
struct child_report {
    _Atomic uint32_t slot_seen; /* 1 + slot whose secret could be read */
    _Atomic bool blind;         /* it could not look */
};

struct oracle {
    const struct secret_alloc *variant;
    const struct claims *claims;
    bool off, locks_seen, limit_asked;
    size_t page_bytes, min_align;
    char ignored[IGNORED_BYTES];
    struct child_report *child;
    uint64_t locked_by_others; /* bytes, before the subject was loaded */
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
    uint64_t faults_seen; /* of the ledger's */
    uint32_t failing;     /* a bit for each enum model_call that may fail */
    bool fails_on;        /* more than once */
    bool smash_before, faulted, limited, refused, damaged, died, closed_well, cannot_release,
        cannot_open;
    uint32_t opens;
    struct model_size open_size;
};

/* Notes the first violation of the program, unless the promise is ignored. */
MODEL_PRINTF(3, 4)
void oracle_broken(struct oracle *o, const char *promise_id, const char *format, ...);

static inline void oracle_made(struct oracle *o, enum oracle_check check)
{
    o->counts[check]++;
}

/* What of a place is still there. */
struct left {
    size_t words;    /* of its secret, in their own place */
    size_t nonzero;  /* bytes */
    size_t readable; /* bytes */
};

/* The bytes [from, to) of a place, from on a multiple of 8, that also lie in [start, end). */
struct left oracle_place_left(const struct place *p, size_t from, size_t to, uintptr_t start,
                              uintptr_t end);
/* How many bytes of a place could be used: not fewer than were asked for. */
size_t oracle_place_bytes(const struct place *p);
/* All of those. */
struct left oracle_place_left_whole(const struct place *p);

/* oracle_bytes.c */
void oracle_check_fresh(struct oracle *o, uintptr_t address, size_t size_bytes, size_t from,
                        uint32_t fill);
bool oracle_ends_match(const struct place *p);
void oracle_check_dead(struct oracle *o, const struct place *p, const char *promise_id,
                       enum oracle_check check);
bool oracle_may_stay(const struct oracle *o, const struct place *p);
void oracle_check_unreadable(struct oracle *o, const struct place *p);
void oracle_check_peek(struct oracle *o, const struct place *p);
void oracle_check_tail(struct oracle *o, const struct place *old, size_t new_bytes);

/* oracle_locks.c */
void oracle_check_locks(struct oracle *o, uintptr_t address, size_t size_bytes, const char *who);
void oracle_check_crowd_locks(struct oracle *o, uintptr_t address, size_t size_bytes);
void oracle_check_neighbours(struct oracle *o, unsigned except);
void oracle_begin_quota(struct oracle *o);
void oracle_check_quota_before_close(struct oracle *o);
void oracle_check_quota_after_close(struct oracle *o);

/* oracle_released.c: a ledger_release. */
void oracle_on_release(void *arg, long call, uintptr_t address, size_t size_bytes);

/* oracle_calls.c */
void oracle_after_alloc(struct oracle *o, const struct model_operation *op,
                        const struct model_event *event);
void oracle_after_free(struct oracle *o, const struct model_operation *op);
void oracle_after_resize(struct oracle *o, const struct model_operation *op,
                         const struct model_event *event);
void oracle_after_open(struct oracle *o, const struct model_operation *op,
                       const struct model_event *event);
void oracle_after_close(struct oracle *o, const struct model_event *event);

/* oracle_touches.c */
void oracle_after_touch(struct oracle *o, const struct model_operation *op,
                        const struct model_event *event);
void oracle_after_walk(struct oracle *o, const struct model_operation *op,
                       const struct model_event *event);
void oracle_after_smash(struct oracle *o, const struct model_operation *op,
                        const struct model_event *event);
void oracle_check_smash(struct oracle *o, const struct model_operation *op);
void oracle_after_misuse(struct oracle *o, const struct model_operation *op,
                         const struct model_event *event);
void oracle_after_noticed_misuse(struct oracle *o);
void oracle_after_fork(struct oracle *o, const struct model_operation *op,
                       const struct model_event *event);
void oracle_after_death(struct oracle *o, const struct model_operation *op,
                        const struct model_event *event);

#endif
