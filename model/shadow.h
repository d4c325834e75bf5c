/* SPDX-License-Identifier: MIT */
/*
 * shadow.h: the model of a correct allocator: what must be true of pointers, sizes, errno and
 * quota after each operation. Pure: it never touches the subject or its memory.
 *
 * It is the oracle of suite and fuzz alike. Each check names the promise that it belongs to:
 *   sizes      a pointer to at least n bytes, or NULL with errno set; usable >= n; no overlap
 *   alignment  as claimed (min_align, or as malloc's), or as asked of alloc_aligned
 *   accounting a refused call leaves locked_bytes no higher than it was
 */
#ifndef MODEL_SHADOW_H
#define MODEL_SHADOW_H

#include "interpret.h"

/* A live secret as the model knows it. */
struct shadow_secret {
    uintptr_t address; /* 0: empty */
    size_t size_bytes, usable_bytes;
    uint32_t fill; /* 0: nothing planted */
    int access;    /* enum secret_access */
};

struct shadow {
    size_t min_align;
    struct shadow_secret slots[MODEL_SLOTS];  /* alive */
    struct shadow_secret freed[MODEL_SLOTS];  /* the last one freed from each slot */
    struct shadow_secret *crowd;              /* room for MODEL_CROWD_MAX, by the caller */
    size_t crowd_count;
    uint64_t locked_bytes; /* the subject's own belief after the last operation */
};

/* A broken promise. promise_id NULL: none. */
struct shadow_violation {
    const char *promise_id;
    char detail[128];
};

void shadow_init(struct shadow *shadow, const struct secret_alloc *variant,
                 struct shadow_secret *crowd);
/* Judges event against the model, then takes it into the model. Returns the first violation. */
struct shadow_violation shadow_step(struct shadow *shadow, const struct model_operation *operation,
                                    const struct model_event *event, size_t page_bytes);

#endif
