/* SPDX-License-Identifier: MIT */
/*
 * shadow.c: judges each event against the model of a correct allocator, and keeps that model.
 *
 * The tree of live secrets is a treap: ordered by address, and a heap by a priority that is a hash
 * of the node's id, so that it is shallow without rotations and the same in every run. A secret
 * that overlaps another is reported and stays out of the tree: what is in it is disjoint.
 */
#include "shadow.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tools.h"

static const struct shadow_violation fine = {0};

MODEL_PRINTF(2, 3)
static struct shadow_violation broken(const char *promise_id, const char *format, ...)
{
    struct shadow_violation v = {.promise_id = promise_id};
    va_list list;
    va_start(list, format);
    vsnprintf(v.detail, sizeof v.detail, format, list);
    va_end(list);
    return v;
}

/* -------------------------------------------------------------------------------------- tree */

static struct shadow_secret *node(const struct shadow *s, uint32_t id)
{
    const struct shadow_secret *at =
        id <= MODEL_SLOTS ? &s->slots[id - 1] : &s->crowd[id - 1 - MODEL_SLOTS];
    return (struct shadow_secret *)(uintptr_t)at;
}

static uint32_t slot_id(unsigned slot)
{
    return 1 + slot;
}
static uint32_t crowd_id(size_t index)
{
    return (uint32_t)(1 + MODEL_SLOTS + index);
}

/* Any fixed scrambling will do; this one is a bijection, so no two nodes tie. */
static uint32_t priority(uint32_t id)
{
    id *= 0x9e3779b1u;
    id ^= id >> 15;
    return id * 0x85ebca77u;
}

/* A secret of no bytes still has a place of its own. */
static size_t span_bytes(const struct shadow_secret *n)
{
    return n->usable_bytes == 0 ? 1 : n->usable_bytes;
}

/* Splits a subtree into the addresses below key (*low) and the others (*high). */
static void tree_split(const struct shadow *s, uint32_t tree, uintptr_t key, uint32_t *low,
                       uint32_t *high)
{
    while (tree != 0) {
        struct shadow_secret *n = node(s, tree);
        uint32_t *inner = n->address < key ? &n->right : &n->left;
        *(n->address < key ? low : high) = tree;
        if (n->address < key)
            low = inner;
        else
            high = inner;
        tree = *inner;
    }
    *low = *high = 0;
}

static void tree_insert(struct shadow *s, uint32_t id)
{
    struct shadow_secret *n = node(s, id);
    uint32_t *link = &s->root;
    while (*link != 0 && priority(*link) >= priority(id)) {
        struct shadow_secret *at = node(s, *link);
        link = n->address < at->address ? &at->left : &at->right;
    }
    tree_split(s, *link, n->address, &n->left, &n->right);
    *link = id;
    n->in_tree = true;
}

/* Joins two subtrees, all of the first below all of the second, at *link. */
static void tree_join(const struct shadow *s, uint32_t low, uint32_t high, uint32_t *link)
{
    while (low != 0 && high != 0) {
        if (priority(low) >= priority(high)) {
            *link = low;
            link = &node(s, low)->right;
            low = *link;
        } else {
            *link = high;
            link = &node(s, high)->left;
            high = *link;
        }
    }
    *link = low != 0 ? low : high;
}

static void tree_remove(struct shadow *s, uint32_t id)
{
    struct shadow_secret *n = node(s, id);
    uint32_t *link = &s->root;
    if (!n->in_tree)
        return;
    while (*link != id) {
        struct shadow_secret *at = node(s, *link);
        link = n->address < at->address ? &at->left : &at->right;
    }
    tree_join(s, n->left, n->right, link);
    n->in_tree = false;
}

/* The last one that starts at or below address, and the first one that starts above it. */
static void tree_around(const struct shadow *s, uintptr_t address,
                        const struct shadow_secret **below, const struct shadow_secret **above)
{
    *below = *above = NULL;
    for (uint32_t at = s->root; at != 0;) {
        const struct shadow_secret *n = node(s, at);
        *(n->address <= address ? below : above) = n;
        at = n->address <= address ? n->right : n->left;
    }
}

static const struct shadow_secret *tree_overlap(const struct shadow *s,
                                                const struct shadow_secret *new)
{
    const struct shadow_secret *below, *above;
    tree_around(s, new->address, &below, &above);
    if (below != NULL && new->address - below->address < span_bytes(below))
        return below;
    if (above != NULL && above->address - new->address < span_bytes(new))
        return above;
    return NULL;
}

const struct shadow_secret *shadow_find(const struct shadow *shadow, uintptr_t address)
{
    const struct shadow_secret *below, *above;
    tree_around(shadow, address, &below, &above);
    return below != NULL && below->address == address ? below : NULL;
}

/* ----------------------------------------------------------------------------------- judging */

static struct shadow_violation pointer_judge(const struct shadow *s,
                                             const struct shadow_secret *new, size_t align_bytes)
{
    const struct shadow_secret *other;
    uintptr_t at = new->address;
    if (at % align_bytes != 0)
        return broken("alignment", "%zu bytes at 0x%" PRIxPTR ": not a multiple of %zu",
                      new->size_bytes, at, align_bytes);
    if (new->usable_bytes < new->size_bytes)
        return broken("sizes", "asked for %zu bytes, usable says %zu", new->size_bytes,
                      new->usable_bytes);
    if (span_bytes(new) - 1 > UINTPTR_MAX - at)
        return broken("sizes", "%zu bytes at 0x%" PRIxPTR " are past the end of memory",
                      span_bytes(new), at);
    if (s->damaged || (other = tree_overlap(s, new)) == NULL)
        return fine;
    return broken("sizes", "%zu bytes at 0x%" PRIxPTR " overlap %zu live ones at 0x%" PRIxPTR,
                  span_bytes(new), at, span_bytes(other), other->address);
}

/* Takes the secret with this id, whose fields are set, into the model. */
static struct shadow_violation live_add(struct shadow *s, uint32_t id, size_t align_bytes)
{
    struct shadow_secret *new = node(s, id);
    struct shadow_violation v = pointer_judge(s, new, align_bytes);
    bool sound = span_bytes(new) - 1 <= UINTPTR_MAX - new->address;
    if (sound && tree_overlap(s, new) == NULL)
        tree_insert(s, id);
    return v;
}

static struct shadow_violation refusal_judge(const struct shadow *s,
                                             const struct model_event *event)
{
    if (event->error == 0)
        return broken("sizes", "%" PRIu64 " bytes refused without an errno", event->size_bytes);
    if (!s->faults && s->locked_bytes != UINT64_MAX && event->locked_bytes != UINT64_MAX &&
        event->locked_bytes > s->locked_bytes)
        return broken("accounting",
                      "a refused call raised locked_bytes from %" PRIu64 " to %" PRIu64,
                      s->locked_bytes, event->locked_bytes);
    return fine;
}

static size_t align_wanted(const struct shadow *s, const struct model_operation *operation)
{
    size_t asked = operation->code == MODEL_ALLOC_ALIGNED ? (size_t)1 << operation->arg : 1;
    return asked > s->min_align ? asked : s->min_align;
}

/* Of a slot these may be the usable bytes; of a crowd or a storm they are those asked for. */
static struct shadow_violation unwritable(const struct model_event *event, uint64_t bytes)
{
    return broken("sizes", "%" PRIu64 " bytes at 0x%" PRIx64 " cannot be written", bytes,
                  event->address);
}

/* ------------------------------------------------------------------------------------- steps */

static struct shadow_violation alloc_step(struct shadow *s, const struct model_operation *operation,
                                          const struct model_event *event)
{
    if (event->outcome == MODEL_REFUSED)
        return refusal_judge(s, event);
    s->slots[operation->slot] = (struct shadow_secret){
        .address = (uintptr_t)event->address,
        .size_bytes = (size_t)event->size_bytes,
        .usable_bytes = (size_t)event->usable_bytes,
        .access = SECRET_ACCESS_READ_WRITE,
    };
    return live_add(s, slot_id(operation->slot), align_wanted(s, operation));
}

static void slot_free(struct shadow *s, unsigned slot)
{
    tree_remove(s, slot_id(slot));
    s->freed[slot] = s->slots[slot];
    s->slots[slot] = (struct shadow_secret){0};
}

static struct shadow_violation resize_step(struct shadow *s,
                                           const struct model_operation *operation,
                                           const struct model_event *event)
{
    struct shadow_secret *slot = &s->slots[operation->slot];
    size_t size = (size_t)event->size_bytes;
    if (event->outcome == MODEL_REFUSED)
        return refusal_judge(s, event);
    tree_remove(s, slot_id(operation->slot));
    if (slot->address != event->address)
        s->freed[operation->slot] = *slot; /* the old place */
    /* What is kept is what both sizes cover; slack that had been filled is not promised. */
    if (slot->known_bytes > slot->size_bytes)
        slot->known_bytes = slot->size_bytes;
    if (slot->known_bytes > size)
        slot->known_bytes = size;
    slot->address = (uintptr_t)event->address;
    slot->size_bytes = size;
    slot->usable_bytes = (size_t)event->usable_bytes;
    return live_add(s, slot_id(operation->slot), s->min_align);
}

static struct shadow_violation fill_step(struct shadow *s, const struct model_operation *operation,
                                         const struct model_event *event)
{
    struct shadow_secret *slot = &s->slots[operation->slot];
    bool all = (operation->arg & MODEL_FILL_USABLE) != 0;
    if (event->outcome == MODEL_TRAPPED)
        return unwritable(event, all ? event->usable_bytes : event->size_bytes);
    slot->fill = event->slot_fill;
    slot->known_bytes = (size_t)event->count;
    return fine;
}

static struct shadow_violation check_step(const struct shadow *s,
                                          const struct model_operation *operation,
                                          const struct model_event *event)
{
    if (event->count_good != 0 || s->damaged)
        return fine;
    return broken("neighbour",
                  "the %" PRIu64 " bytes of s%u at 0x%" PRIx64 " are not those planted",
                  event->count, operation->slot, event->address);
}

static void close_step(struct shadow *s)
{
    for (unsigned slot = 0; slot < MODEL_SLOTS; slot++)
        if (s->slots[slot].address != 0)
            slot_free(s, slot);
    s->crowd_count = 0;
    s->root = 0;
}

static void misuse_step(struct shadow *s, const struct model_operation *operation)
{
    s->damaged = true;
    if (operation->arg == MODEL_WRONG_SIZE) /* the pointer was right: it is gone */
        slot_free(s, operation->slot);
}

static struct shadow_violation crowd_step(struct shadow *s, const struct model_event *event)
{
    struct shadow_violation v = s->crowd_violation;
    s->crowd_violation = fine;
    if (v.promise_id != NULL)
        return v;
    if (event->outcome == MODEL_TRAPPED)
        return unwritable(event, event->size_bytes);
    if (event->outcome == MODEL_REFUSED && event->error == 0)
        return broken("sizes", "%" PRIu64 " bytes refused without an errno", event->size_bytes);
    return fine;
}

static struct shadow_violation crowd_look_step(const struct shadow *s,
                                               const struct model_event *event)
{
    if (event->count_good == event->count || s->damaged)
        return fine;
    return broken("neighbour",
                  "of %" PRIu64 " secrets in the crowd only %" PRIu64 " hold what was planted",
                  event->count, event->count_good);
}

static struct shadow_violation storm_step(const struct model_event *event)
{
    if (event->outcome == MODEL_TRAPPED)
        return unwritable(event, event->size_bytes);
    if (event->count_good < event->count)
        return broken("threads",
                      "of %" PRIu64 " secrets only %" PRIu64
                      " held what was planted until their thread freed them",
                      event->count, event->count_good);
    return fine;
}

static struct shadow_violation judge(struct shadow *s, const struct model_operation *operation,
                                     const struct model_event *event)
{
    bool done = event->outcome == MODEL_OK;
    switch ((enum model_code)operation->code) {
    case MODEL_ALLOC:
    case MODEL_ALLOC_ALIGNED:
        return alloc_step(s, operation, event);
    case MODEL_RESIZE:
        return resize_step(s, operation, event);
    case MODEL_FREE:
        slot_free(s, operation->slot);
        return fine;
    case MODEL_FILL:
        return fill_step(s, operation, event);
    case MODEL_CHECK:
        return check_step(s, operation, event);
    case MODEL_PROTECT:
        if (done)
            s->slots[operation->slot].access = operation->arg;
        return fine;
    case MODEL_SMASH:
        s->damaged = s->damaged || event->distance_bytes > 0;
        return fine;
    case MODEL_MISUSE:
        misuse_step(s, operation);
        return fine;
    case MODEL_CLOSE: /* gone even if it reports an error */
        close_step(s);
        return fine;
    case MODEL_FAIL:
    case MODEL_HEAL:
        s->faults = operation->code == MODEL_FAIL;
        return fine;
    case MODEL_CROWD:
        return crowd_step(s, event);
    case MODEL_CROWD_LOOK:
        return crowd_look_step(s, event);
    case MODEL_STORM:
        return storm_step(event);
    default:
        return fine;
    }
}

struct shadow_violation shadow_step(struct shadow *shadow, const struct model_operation *operation,
                                    const struct model_event *event)
{
    if (event->outcome == MODEL_SKIPPED || event->outcome == MODEL_DIED)
        return fine;
    struct shadow_violation v = judge(shadow, operation, event);
    if (event->locked_bytes != UINT64_MAX)
        shadow->locked_bytes = event->locked_bytes;
    return v;
}

void shadow_init(struct shadow *shadow, const struct secret_alloc *variant,
                 struct shadow_secret *crowd)
{
    memset(shadow, 0, sizeof *shadow);
    shadow->min_align = variant->min_align != 0 ? variant->min_align : _Alignof(max_align_t);
    shadow->crowd = crowd;
    shadow->locked_bytes = UINT64_MAX;
}

/* ------------------------------------------------------------------------------------- crowd */

void shadow_crowd_add(struct shadow *shadow, uintptr_t address, size_t size_bytes, uint32_t fill)
{
    size_t index = shadow->crowd_count++;
    shadow->crowd[index] = (struct shadow_secret){.address = address,
                                                  .size_bytes = size_bytes,
                                                  .usable_bytes = size_bytes,
                                                  .known_bytes = size_bytes,
                                                  .fill = fill,
                                                  .access = SECRET_ACCESS_READ_WRITE};
    struct shadow_violation v = live_add(shadow, crowd_id(index), shadow->min_align);
    if (shadow->crowd_violation.promise_id == NULL)
        shadow->crowd_violation = v;
}

void shadow_crowd_forget(struct shadow *shadow, size_t index)
{
    tree_remove(shadow, crowd_id(index));
    shadow->crowd[index].address = 0;
}

/* A member that moves up changes its id, and with it its place in the tree. */
static void crowd_move(struct shadow *s, size_t from, size_t to)
{
    bool in_tree = s->crowd[from].in_tree;
    tree_remove(s, crowd_id(from));
    s->crowd[to] = s->crowd[from];
    if (in_tree)
        tree_insert(s, crowd_id(to));
}

void shadow_crowd_close_gaps(struct shadow *shadow)
{
    size_t alive = 0;
    for (size_t i = 0; i < shadow->crowd_count; i++) {
        if (shadow->crowd[i].address == 0)
            continue;
        if (alive != i)
            crowd_move(shadow, i, alive);
        alive++;
    }
    shadow->crowd_count = alive;
}
