/* SPDX-License-Identifier: MIT */
/*
 * machine.h: the interpreter's state, shared by the files that carry operations out.
 *
 *   interpret.c  runs the program: what may be done now, begin, the operation, end, the shadow
 *   entries.c    operations that are one call of the subject, and the surroundings
 *   contents.c   operations on the bytes of a secret: fill, check, look, peek
 *   touches.c    operations on bytes that are not ours, and misuse
 *   crowd.c      many secrets at once
 *   child.c      forked children
 *   turns.c      the second thread
 *   storm.c      several threads at once
 */
#ifndef MODEL_MACHINE_H
#define MODEL_MACHINE_H

#include "interpret.h"
#include "shadow.h"
#include "trap.h"

struct machine {
    const struct model_program *program;
    const struct secret_alloc *variant;
    const struct model_host *host;
    struct shadow shadow;
    void *context; /* of the subject, while open */
    bool open;
    size_t next;    /* the operation that follows */
    uint32_t fills; /* so many have been planted */
    /* The operation under way. */
    const struct model_operation *operation;
    struct model_event event;
    bool in_operation, in_child, died;
    /* Of the thread that has the turn. */
    struct trap_frame *frame;
};

/* One operation's deed. It fills in machine->event, whose outcome is OK to begin with, and whose
 * address, size and fill are those of the slot. */
typedef void machine_action(struct machine *m);

machine_action machine_limit, machine_open, machine_close, machine_fail, machine_heal,
    machine_baton, machine_alloc, machine_alloc_aligned, machine_free, machine_resize,
    machine_protect, machine_fill, machine_check, machine_look, machine_peek, machine_touch,
    machine_walk, machine_smash, machine_stale, machine_misuse, machine_fork, machine_crowd,
    machine_crowd_look, machine_crowd_free, machine_storm;

/* Runs operations, on this thread, until the program ends, dies or passes the baton. stack is the
 * alternate one, of TRAP_STACK_BYTES. */
void machine_run(struct machine *m, void *stack);
/* The machine that is running in this process, or NULL. */
struct machine *machine_current(void);
/* Reports that the operation under way ended the program. Async-signal-safe. */
void machine_died(struct machine *m);

static inline struct shadow_secret *machine_slot(struct machine *m)
{
    return &m->shadow.slots[m->operation->slot];
}

static inline size_t machine_size(const struct machine *m)
{
    return model_size_bytes(m->operation->size, m->host->page_bytes);
}

static inline void machine_refused(struct machine *m, int error)
{
    m->event.outcome = MODEL_REFUSED;
    m->event.error = error;
}

static inline void machine_skipped(struct machine *m)
{
    m->event.outcome = MODEL_SKIPPED;
}

static inline void machine_trapped(struct machine *m, const struct trap_fault *fault)
{
    m->event.outcome = MODEL_TRAPPED;
    m->event.signal = fault->signal;
    m->event.code = fault->code;
    m->event.trap_address = fault->address;
}

/* Plants the next secret; false, with the event TRAPPED, if the memory cannot take it. */
bool machine_plant(struct machine *m, void *p, size_t size_bytes);

/* The pages that hold a byte of [address, address + size_bytes). */
struct machine_pages {
    uintptr_t first;
    size_t count;
};
struct machine_pages machine_pages(const struct machine *m, uintptr_t address, size_t size_bytes);
/* Is the page locked? By MADV_PAGEOUT, which the kernel refuses on locked pages with EINVAL. */
bool machine_page_locked(const struct machine *m, uintptr_t page);
/* Does this kernel know MADV_PAGEOUT? Otherwise it says EINVAL to everything. */
bool machine_pageout_known(void);

/* storm.c: is this one of a storm's threads? Those have nowhere to land. */
bool storm_has_thread(void);
/* Ends the storm from one of its threads: the first to come here calls report and wakes the first
 * thread, which lands for it. Async-signal-safe if report is. */
_Noreturn void storm_fall(void (*report)(struct machine *m));

/* turns.c: the second thread, made once per process and kept. False: it cannot be had. */
bool turns_ready(void);
/* Is there one in this process? */
bool turns_are_made(void);
/* Has the second thread run machine_run(m), and waits until it is done. */
void turns_give(struct machine *m);

#endif
