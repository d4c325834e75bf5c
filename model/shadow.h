/* SPDX-License-Identifier: MIT */
/*
 * shadow.h: the model of a correct allocator: what must be true of pointers, sizes, errno and
 * quota after each operation. Pure: it never touches the subject or its memory.
 *
 * It is the oracle of suite and fuzz alike. Each check names the promise that it belongs to:
 *   sizes      a pointer to at least n bytes, or NULL with errno set; usable >= n; no overlap
 *   alignment  as claimed (min_align, or as malloc's), or as asked of alloc_aligned
 *   accounting a refused call leaves locked_bytes no higher than it was
 *   neighbour  a secret's bytes are those planted, for as long as it lives
 *
 * After a smash or a misuse that nobody caught the program itself has done damage: from then on
 * overlap and contents are no longer held against the subject. While system calls are made to fail,
 * locked_bytes is not either.
 *
 * Live secrets are kept in a tree ordered by address, slots and crowd together, so that an overlap
 * is found in logarithmic time:
 *
 *     |--- secret ---|      |- new -|     |------ secret ------|
 *      predecessor ends before it starts, successor starts after it ends
 */
#ifndef MODEL_SHADOW_H
#define MODEL_SHADOW_H

#include "interpret.h"

/* A live secret as the model knows it. */
struct shadow_secret {
    uintptr_t address; /* 0: empty */
    size_t size_bytes, usable_bytes;
    size_t known_bytes;   /* so many of its first bytes are those of fill (fewer after a resize) */
    uint32_t fill;        /* 0: nothing planted */
    uint32_t left, right; /* of the subtrees: 1 + slot, or 1 + MODEL_SLOTS + crowd index; 0: none */
    uint8_t access;       /* enum secret_access */
    bool in_tree;
};

/* A broken promise. promise_id NULL: none. */
struct shadow_violation {
    const char *promise_id;
    char detail[128];
};

struct shadow {
    size_t min_align;
    struct shadow_secret slots[MODEL_SLOTS]; /* alive */
    struct shadow_secret freed[MODEL_SLOTS]; /* the last one freed from each slot */
    struct shadow_secret *crowd;             /* room for MODEL_CROWD_MAX, by the caller, or NULL */
    size_t crowd_count;                      /* of them that are in use, gaps included */
    uint64_t locked_bytes;                   /* the subject's own belief after the last operation */
    uint32_t root;                           /* of the tree */
    bool damaged;                            /* the program did harm that nobody caught */
    bool faults;                             /* system calls are being made to fail */
    struct shadow_violation crowd_violation; /* the first one seen while the crowd grew */
};

/* crowd may be NULL if the program has none. */
void shadow_init(struct shadow *shadow, const struct secret_alloc *variant,
                 struct shadow_secret *crowd);
/* Judges event against the model, then takes it into the model. Returns the first violation. */
struct shadow_violation shadow_step(struct shadow *shadow, const struct model_operation *operation,
                                    const struct model_event *event);

/* The crowd grows and shrinks within one operation, so its members are told one by one, before the
 * step that judges the whole. There must be room for what is added. Forgetting leaves a gap (address
 * 0) until the gaps are closed. */
void shadow_crowd_add(struct shadow *shadow, uintptr_t address, size_t size_bytes, uint32_t fill);
void shadow_crowd_forget(struct shadow *shadow, size_t index);
void shadow_crowd_close_gaps(struct shadow *shadow);

/* The live secret that starts at address, or NULL. */
const struct shadow_secret *shadow_find(const struct shadow *shadow, uintptr_t address);

#endif
