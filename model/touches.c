/* SPDX-License-Identifier: MIT */
/*
 * touches.c: operations on bytes that are not the program's own, and misuse of `free`.
 *
 *        before           the secret             after
 *     ... 2   1   0 | p[0]  ...   p[n-1] | 0   1   2 ...      distances
 */
#include "machine.h"
#include "tools.h"

/* A run of single accesses; `done` says how far it came, also after a trap. */
struct span {
    volatile unsigned char *start;
    ptrdiff_t step; /* +1 or -1 */
    size_t count;
    volatile size_t done;
    volatile unsigned char sum; /* of what was read: Valgrind leaves out a load that nobody needs */
};

MODEL_UNCHECKED static void read_span(void *arg)
{
    struct span *span = arg;
    for (size_t i = 0; i < span->count; i++) {
        span->sum ^= span->start[(ptrdiff_t)i * span->step];
        span->done = i + 1;
    }
}

/* Writes back what was there: proves that a write is possible and leaves all as it was. */
MODEL_UNCHECKED static void rewrite_span(void *arg)
{
    struct span *span = arg;
    for (size_t i = 0; i < span->count; i++) {
        volatile unsigned char *at = &span->start[(ptrdiff_t)i * span->step];
        *at = *at;
        span->done = i + 1;
    }
}

/* Inverts what was there: every byte is certainly changed. */
MODEL_UNCHECKED static void invert_span(void *arg)
{
    struct span *span = arg;
    for (size_t i = 0; i < span->count; i++) {
        volatile unsigned char *at = &span->start[(ptrdiff_t)i * span->step];
        *at = (unsigned char)~*at;
        span->done = i + 1;
    }
}

/* One access after another, with our own handlers in place whatever the subject has installed. */
static bool probe(struct machine *m, void (*access)(void *), struct span *span)
{
    struct trap_handlers handlers;
    trap_claim(&handlers);
    bool passed = trap_probe(m->frame, access, span);
    trap_release(&handlers);
    return passed;
}

/* The byte at a distance past an end of the slot's secret. */
static volatile unsigned char *at_distance(const struct machine *m, unsigned side, size_t distance)
{
    uintptr_t p = (uintptr_t)m->event.address;
    uintptr_t at = side == MODEL_BEFORE  ? p - 1 - distance
                   : side == MODEL_AFTER ? p + (uintptr_t)m->event.size_bytes + distance
                                         : p + distance;
    return (volatile unsigned char *)at;
}

void machine_touch(struct machine *m)
{
    unsigned side = m->operation->arg & ~MODEL_TOUCH_WRITE;
    bool write = (m->operation->arg & MODEL_TOUCH_WRITE) != 0;
    size_t distance = machine_size(m);
    if (side == MODEL_INSIDE && distance >= m->event.size_bytes) {
        machine_skipped(m);
        return;
    }
    struct span span = {.start = at_distance(m, side, distance), .step = 1, .count = 1};
    m->event.distance_bytes = distance;
    if (!probe(m, write ? rewrite_span : read_span, &span))
        machine_trapped(m, &m->frame->fault);
}

static void run_outward(struct machine *m, void (*access)(void *))
{
    unsigned side = m->operation->arg;
    size_t count = machine_size(m);
    struct span span = {.start = at_distance(m, side, 0),
                        .step = side == MODEL_BEFORE ? -1 : 1,
                        .count = count < MODEL_WALK_MAX_BYTES ? count : MODEL_WALK_MAX_BYTES};
    if (!probe(m, access, &span))
        machine_trapped(m, &m->frame->fault);
    m->event.distance_bytes = span.done;
}

void machine_walk(struct machine *m)
{
    run_outward(m, read_span);
}
void machine_smash(struct machine *m)
{
    run_outward(m, invert_span);
}

void machine_stale(struct machine *m)
{
    uintptr_t start = (uintptr_t)m->event.address;
    struct machine_pages pages = machine_pages(m, start, (size_t)m->event.size_bytes);
    bool write = m->operation->arg != 0;
    m->event.count = pages.count;
    for (size_t i = 0; i < pages.count; i++) {
        uintptr_t page = pages.first + i * m->host->page_bytes;
        volatile unsigned char *at = (volatile unsigned char *)(page < start ? start : page);
        struct span span = {.start = at, .step = 1, .count = 1};
        if (probe(m, write ? rewrite_span : read_span, &span))
            continue;
        m->event.count_good++;
        machine_trapped(m, &m->frame->fault);
    }
    if (m->event.count_good < m->event.count) /* one that can be touched is enough */
        m->event.outcome = MODEL_OK;
}

/* What misuse hands in was settled before the operation began, so that observers know it too. */
void machine_misuse(struct machine *m)
{
    struct trap_handlers handlers;
    if (m->event.old_address == 0) {
        machine_skipped(m);
        return;
    }
    trap_claim(&handlers);
    m->variant->free(m->context, (void *)(uintptr_t)m->event.old_address,
                     (size_t)m->event.old_size_bytes);
    trap_release(&handlers);
}
