/* SPDX-License-Identifier: MIT */
/*
 * interpret.c: runs a program: for each operation, decides whether it can be done now, tells the
 * observers, has it carried out, and lets the shadow model judge what happened.
 */
#include "interpret.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "machine.h"
#include "raw.h"

/* What an operation needs in order to be possible, and what is done around it. */
enum {
    OPEN = 1,    /* the subject is open */
    CLOSED = 2,  /* it is not */
    LIVE = 4,    /* the slot holds a secret */
    EMPTY = 8,   /* it does not */
    FREED = 16,  /* it held one that was freed */
    KNOWN = 32,  /* one or the other */
    SLOT = 64,   /* the event begins with what the slot holds */
    SIZE = 128,  /* the event begins with the operation's size */
    CALLS = 256, /* the subject may then believe to have another number of bytes locked */
};

static const struct deed {
    machine_action *act;
    unsigned needs;
    unsigned entries; /* a set of enum model_entry */
} deeds[MODEL_CODES] = {
    [MODEL_LIMIT] = {machine_limit, SIZE, 0},
    [MODEL_OPEN] = {machine_open, CLOSED | SIZE | CALLS, 0},
    [MODEL_CLOSE] = {machine_close, OPEN | CALLS, MODEL_ENTRY_CLOSE},
    [MODEL_FAIL] = {machine_fail, 0, 0},
    [MODEL_HEAL] = {machine_heal, 0, 0},
    [MODEL_BATON] = {machine_baton, 0, 0},
    [MODEL_ALLOC] = {machine_alloc, OPEN | EMPTY | SIZE | CALLS, 0},
    [MODEL_ALLOC_ALIGNED] = {machine_alloc_aligned, OPEN | EMPTY | SIZE | CALLS,
                             MODEL_ENTRY_ALLOC_ALIGNED},
    [MODEL_FREE] = {machine_free, OPEN | LIVE | SLOT | CALLS, 0},
    [MODEL_RESIZE] = {machine_resize, OPEN | LIVE | SLOT | CALLS, MODEL_ENTRY_RESIZE},
    [MODEL_FILL] = {machine_fill, OPEN | LIVE | SLOT, 0},
    [MODEL_CHECK] = {machine_check, OPEN | LIVE | SLOT, 0},
    [MODEL_LOOK] = {machine_look, OPEN | LIVE | SLOT, 0},
    [MODEL_PEEK] = {machine_peek, KNOWN | SLOT, 0},
    [MODEL_PROTECT] = {machine_protect, OPEN | LIVE | SLOT | CALLS, MODEL_ENTRY_PROTECT},
    [MODEL_TOUCH] = {machine_touch, OPEN | LIVE | SLOT, 0},
    [MODEL_WALK] = {machine_walk, OPEN | LIVE | SLOT, 0},
    [MODEL_SMASH] = {machine_smash, OPEN | LIVE | SLOT, 0},
    [MODEL_STALE] = {machine_stale, FREED, 0},
    [MODEL_MISUSE] = {machine_misuse, OPEN | SLOT | CALLS, 0},
    [MODEL_FORK] = {machine_fork, 0, 0},
    [MODEL_CROWD] = {machine_crowd, OPEN | SIZE | CALLS, 0},
    [MODEL_CROWD_LOOK] = {machine_crowd_look, OPEN, 0},
    [MODEL_CROWD_FREE] = {machine_crowd_free, OPEN | CALLS, 0},
    [MODEL_STORM] = {machine_storm, OPEN | SIZE | CALLS, 0},
};

bool model_calls_subject(enum model_code code)
{
    return code < MODEL_CODES && (deeds[code].needs & CALLS) != 0;
}

/* ------------------------------------------------------------------------- before an operation */

static bool possible(struct machine *m, const struct deed *deed)
{
    unsigned slot = m->operation->slot;
    bool live = m->shadow.slots[slot % MODEL_SLOTS].address != 0;
    bool freed = m->shadow.freed[slot % MODEL_SLOTS].address != 0;
    unsigned needs = deed->needs;
    return (!(needs & OPEN) || m->open) && (!(needs & CLOSED) || !m->open) &&
           (!(needs & LIVE) || live) && (!(needs & EMPTY) || !live) &&
           (!(needs & FREED) || freed) && (!(needs & KNOWN) || live || freed) &&
           (deed->entries & ~model_subject_entries(m->variant)) == 0;
}

static void event_describe(struct model_event *event, const struct shadow_secret *secret)
{
    event->address = secret->address;
    event->size_bytes = secret->size_bytes;
    event->usable_bytes = secret->usable_bytes;
    event->slot_fill = secret->fill;
}

/* Memory that no allocator has ever handed out. */
static _Alignas(64) unsigned char foreign[4096];

static void event_hand_in(struct model_event *event, uintptr_t address, size_t size_bytes)
{
    event->old_address = address;
    event->old_size_bytes = size_bytes;
}

/* Settles what a misuse will hand in: old_address 0 if it cannot be done now. */
static void misuse_prepare(struct machine *m)
{
    struct model_event *e = &m->event;
    const struct shadow_secret *live = machine_slot(m);
    const struct shadow_secret *freed = &m->shadow.freed[m->operation->slot];
    size_t offset = machine_size(m);
    offset = offset == 0 ? 1 : offset;
    switch (m->operation->arg) {
    case MODEL_DOUBLE_FREE:
        event_describe(e, freed);
        /* Where a live secret has moved in meanwhile, freeing it is no misuse. */
        if (shadow_find(&m->shadow, freed->address) == NULL)
            event_hand_in(e, freed->address, freed->size_bytes);
        break;
    case MODEL_FOREIGN_FREE:
        event_hand_in(e, (uintptr_t)foreign,
                      live->size_bytes > 0 && live->size_bytes < sizeof foreign ? live->size_bytes
                                                                                : 32);
        break;
    case MODEL_INTERIOR_FREE:
        /* Where another secret begins, freeing it is no misuse either. */
        if (live->address != 0 && shadow_find(&m->shadow, live->address + offset) == NULL)
            event_hand_in(e, live->address + offset, live->size_bytes);
        break;
    default:
        if (live->address != 0)
            event_hand_in(e, live->address, live->size_bytes + offset);
    }
}

/* Fills in what is known before the call, for those who look on. */
static void event_prepare(struct machine *m, const struct deed *deed)
{
    struct model_event *e = &m->event;
    const struct model_operation *op = m->operation;
    memset(e, 0, sizeof *e);
    e->op_index = (uint32_t)m->next;
    e->locked_bytes = UINT64_MAX;
    if (deed->needs & SIZE)
        e->size_bytes = machine_size(m);
    if (deed->needs & SLOT)
        event_describe(e, machine_slot(m));
    if (op->code == MODEL_STALE || (op->code == MODEL_PEEK && e->address == 0))
        event_describe(e, &m->shadow.freed[op->slot]);
    if (op->code == MODEL_FREE || op->code == MODEL_RESIZE)
        event_hand_in(e, (uintptr_t)e->address, (size_t)e->size_bytes);
    if (op->code == MODEL_RESIZE)
        e->size_bytes = machine_size(m);
    if (op->code == MODEL_MISUSE)
        misuse_prepare(m);
}

/* ------------------------------------------------------------------------------- one operation */

/* The subject runs this much further down the stack than those who look on, so that what it leaves
 * there is not overwritten before it is looked at. */
#define GAP_BYTES 16384

static __attribute__((noinline)) void act_below(struct machine *m, const struct deed *deed)
{
    char gap[GAP_BYTES];
    __asm__ volatile("" : : "r"(gap) : "memory"); /* it is used, for all the compiler knows */
    deed->act(m);
    if (m->host->returned != NULL)
        m->host->returned(m->host->arg);
}

static void act(struct machine *m, const struct deed *deed)
{
    if (!possible(m, deed)) {
        machine_skipped(m);
        return;
    }
    m->event.outcome = MODEL_OK;
    if ((deed->needs & CALLS) != 0)
        act_below(m, deed);
    else
        deed->act(m);
    if ((deed->needs & CALLS) && m->open && m->event.outcome != MODEL_SKIPPED &&
        m->variant->locked_bytes != NULL)
        m->event.locked_bytes = m->variant->locked_bytes(m->context);
}

static void judge(struct machine *m)
{
    struct shadow_violation v = shadow_step(&m->shadow, m->operation, &m->event);
    if (v.promise_id != NULL)
        m->host->violated(m->host->arg, m->event.op_index, v.promise_id, v.detail);
}

static void operation_run(struct machine *m)
{
    const struct deed *deed = &deeds[m->operation->code];
    event_prepare(m, deed);
    m->host->begin(m->host->arg, m->event.op_index, m->operation, &m->event);
    m->in_operation = true;
    act(m, deed);
    m->in_operation = false;
    m->host->end(m->host->arg, m->operation, &m->event);
    judge(m);
}

void machine_died(struct machine *m)
{
    m->event.outcome = MODEL_DIED;
    m->in_operation = false; /* what crashes from now on is not the subject */
    m->died = true;
    m->host->end(m->host->arg, m->operation, &m->event);
}

/* A crash that no probe expected: the subject's, if an operation is under way. */
static bool died_by_signal(void *arg, const struct trap_fault *fault)
{
    struct machine *m = arg;
    if (!m->in_operation || m->in_child)
        return false;
    machine_trapped(m, fault);
    if (storm_has_thread())
        storm_fall(machine_died);
    machine_died(m);
    return true;
}

static void operations_run(struct machine *m)
{
    bool passed = false;
    while (!passed && m->next < m->program->count) {
        m->operation = &m->program->operations[m->next];
        passed = m->operation->code == MODEL_BATON;
        operation_run(m);
        m->next++;
    }
}

void machine_run(struct machine *m, void *stack)
{
    struct trap_frame frame;
    trap_enter(&frame, stack);
    m->frame = &frame;
    if (sigsetjmp(frame.bottom, 0) == 0)
        operations_run(m);
    m->frame = NULL;
    trap_leave();
}

/* -------------------------------------------------------------------------------- the program */

static _Atomic(struct machine *) current;
static _Alignas(16) unsigned char first_stack[TRAP_STACK_BYTES];
#define CROWD_BYTES (sizeof(struct shadow_secret) * MODEL_CROWD_MAX)

struct machine *machine_current(void)
{
    return atomic_load(&current);
}

static bool has_code(const struct model_program *program, enum model_code code)
{
    for (size_t i = 0; i < program->count; i++)
        if (program->operations[i].code == code)
            return true;
    return false;
}

/* Threads take turns at every baton, beginning with this one. */
static void take_turns(struct machine *m)
{
    bool second = false;
    while (!m->died && m->next < m->program->count) {
        if (second)
            turns_give(m);
        else
            machine_run(m, first_stack);
        second = !second;
    }
}

static void program_run(struct machine *m)
{
    trap_install(died_by_signal, m);
    atomic_store(&current, m);
    take_turns(m);
    atomic_store(&current, NULL);
    trap_restore();
}

void model_keep_handlers(bool keep)
{
    trap_keep(keep);
}

bool model_interpret(const struct model_program *program, const struct secret_alloc *variant,
                     const struct model_host *host, char *error, size_t error_bytes)
{
    struct machine m = {.program = program, .variant = variant, .host = host};
    long crowd = 0;
    /* What the harness needs is had before the first operation: its calls are then not mistaken
     * for the subject's. */
    if (has_code(program, MODEL_BATON) && !turns_ready()) {
        snprintf(error, error_bytes, "a second thread cannot be had");
        return false;
    }
    if (has_code(program, MODEL_CROWD))
        crowd = raw_map_anonymous(CROWD_BYTES);
    if (raw_failed(crowd)) {
        snprintf(error, error_bytes, "memory for the crowd cannot be had");
        return false;
    }
    shadow_init(&m.shadow, variant, (struct shadow_secret *)crowd);
    program_run(&m);
    if (crowd != 0)
        raw_call2(SYS_munmap, crowd, CROWD_BYTES);
    return true;
}
