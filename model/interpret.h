/* SPDX-License-Identifier: MIT */
/*
 * interpret.h: executes a program against a loaded subject, in this process.
 *
 * The interpreter knows nothing of suites and fuzzers. All that lies outside (where secrets come
 * from, who looks on, how a system call is made to fail) is behind `struct model_host`. It keeps
 * no copy of a secret, uses no heap, and makes its own system calls raw, so that what an observer
 * sees between `begin` and `end` of an operation is the subject's doing.
 *
 *     host.begin(op) -> the subject's entry is called -> host.end(op, outcome)
 */
#ifndef MODEL_INTERPRET_H
#define MODEL_INTERPRET_H

#include "program.h"
#include "subject.h"

struct shadow_secret; /* shadow.h */

enum model_outcome {
    MODEL_OK,      /* done; for touch, walk, stale: no trap */
    MODEL_REFUSED, /* alloc, resize, open, protect, ... said no: see error */
    MODEL_SKIPPED, /* cannot be done now: empty slot, entry not offered */
    MODEL_TRAPPED, /* touch, walk, stale: a signal, caught: see signal, code, trap_address */
    MODEL_DIED, /* the subject ended the program: fatal (message) or a signal; the program stops */
};

/* What the child of MODEL_FORK exits with, when nothing kills it. */
enum model_child {
    MODEL_CHILD_FINE,    /* all that was tried went well; without `use`: always */
    MODEL_CHILD_REFUSED, /* alloc said no */
    MODEL_CHILD_WRONG    /* what was written to a new secret read back differently */
};

/* What one operation did. All that a judge may need, and no byte of a secret. Fields that an
 * operation does not mention are 0, but locked_bytes. */
struct model_event {
    uint32_t op_index;
    uint32_t outcome;        /* enum model_outcome */
    int32_t error;           /* errno of a refusal, else 0 */
    int32_t signal;          /* TRAPPED, DIED; fork: what killed the child (it hung: SIGKILL and a
                                 message) */
    int32_t code;            /* si_code: SEGV_ACCERR is a guard, SEGV_MAPERR nothing at all */
    uint32_t slot_fill;      /* number of the fill that the slot holds, from 1; 0: none. crowd: the
                                 last one planted */
    uint64_t trap_address;   /* si_addr */
    uint64_t address;        /* of the secret (before: old_address) */
    uint64_t size_bytes;     /* as asked for; limit: what is in force afterwards */
    uint64_t usable_bytes;   /* as `usable` says, else size_bytes */
    uint64_t old_address;    /* resize: where it was; misuse: the address handed in */
    uint64_t old_size_bytes; /* resize, free; misuse: the size handed in */
    uint64_t distance_bytes; /* touch, walk: how far past the end the trap (or the last read) was;
                                 smash: how many bytes were overwritten */
    uint64_t count;          /* crowd: how many are alive now; pages for look, stale; fill: bytes
                                 planted; check: bytes compared; peek: 1 alive, 0 freed; fork: exit
                                 status of the child, an enum model_child; storm: secrets handed out,
                                 error: of the first refusal, if any */
    uint64_t count_locked;   /* look: pages on which MADV_PAGEOUT said EINVAL; crowd-look, storm:
                                 secrets with all pages so; UINT64_MAX: this kernel does not tell */
    uint64_t count_good; /* crowd-look, storm: secrets whose bytes were all right; check: 1 if they
                                 were; stale: pages that trapped (the outcome is TRAPPED if all) */
    uint64_t locked_bytes; /* what the subject believes; UINT64_MAX: not offered, or not asked */
    char message[128];     /* DIED by fatal: its text, printable ASCII */
};

/* The surroundings. `begin`, `end` and `violated` may be called on either
 * of the two threads, never at the same time; `end` with DIED may be called from a signal handler
 * of the subject's crash and must be async-signal-safe then. */
struct model_host {
    void *arg;
    size_t page_bytes;
    /* Plant secret number fill (1, 2, ...) in the size_bytes at p, leaving no other copy in this
     * process. The same number gives the same bytes. False: the memory is bad (EFAULT); fill and
     * crowd are then TRAPPED by SIGSEGV. */
    bool (*plant)(void *arg, uint32_t fill, void *p, size_t size_bytes);
    /* Are the size_bytes at p the first ones of secret number fill? */
    bool (*matches)(void *arg, uint32_t fill, const void *p, size_t size_bytes);
    void (*begin)(void *arg, uint32_t op_index, const struct model_operation *operation,
                  const struct model_event *so_far);
    void (*end)(void *arg, const struct model_operation *operation,
                const struct model_event *event);
    /* The shadow model saw a promise broken: its id and one line of detail. */
    void (*violated)(void *arg, uint32_t op_index, const char *promise_id, const char *detail);
    /* fail and heal: make system calls fail from the next operation on. heal comes as nth 0, error
     * 0. False: cannot; the operation is then SKIPPED. */
    bool (*fail)(void *arg, enum model_call call, unsigned nth, int error, bool after, bool on);
    /* Runs in the child of MODEL_FORK, before it uses the allocator. plant and matches are never
     * called in a child. */
    void (*in_child)(void *arg, uint32_t op_index);

    /* The rest is optional. */
    /* Runs as soon as the subject has returned, on its thread: vector registers are as it left them. */
    void (*returned)(void *arg);
    /* As matches, for many secrets at once: how many of them are whole. One without a fill is. */
    size_t (*match_many)(void *arg, const struct shadow_secret *members, size_t count);
    /* plant may be called from several threads at once: storms are then not skipped. */
    bool parallel;
};

/* Runs program, whose operations are canonical, on variant. Returns true when it ran to its end or
 * to a DIED, false when the host lacks something the harness itself needs (memory for the crowd, a
 * thread); error then names it. One at a time per process. Installs handlers for SIGSEGV, SIGBUS,
 * SIGABRT, SIGILL, SIGFPE, SIGTRAP on an alternate stack for its duration. After a DIED the subject
 * must not be used again: exec or exit. */
bool model_interpret(const struct model_program *program, const struct secret_alloc *variant,
                     const struct model_host *host, char *error, size_t error_bytes);

/* Does an operation of this code enter the subject, which may then touch what belongs to others? (A child enters it,
 * too: that is for those who watch children.) */
bool model_calls_subject(enum model_code code);

/* For processes that run many programs: true leaves the handlers and alternate stacks in place
 * between them, which saves some fifteen system calls a program. A crash between two programs goes
 * to whoever had the signal before. False takes them down again. */
void model_keep_handlers(bool keep);

#endif
