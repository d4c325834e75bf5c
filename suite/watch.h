/* SPDX-License-Identifier: MIT */
/*
 * watch.h: what the supervisor knows of a running case, and what it writes down.
 *
 * It follows the program along: which secret stands where, which is alive, being freed, or dead. So
 * that bytes found anywhere can be told apart: a live neighbour's are in order, a dead one's leak.
 */
#ifndef SUITE_WATCH_H
#define SUITE_WATCH_H

#include "suite/supervise.h"

enum fill_state { FILL_LIVE, FILL_DYING, FILL_DEAD, FILL_CROWD };

/* One planted secret: a piece of the pool, and where it was put. */
struct fill {
    uint32_t number;         /* as the interpreter counts, from 1 */
    uint64_t offset, length; /* in the pool, counted on without wrapping */
    uint64_t kept;           /* of them are the secret still: a shrunk one's tail is dead */
    uint64_t address;
    unsigned slot;
    enum fill_state state;
};

struct watched_slot {
    bool live;
    uint64_t address, size_bytes, usable_bytes;
};

struct watch {
    const struct host *host;
    unsigned wanted; /* set of enum observer: by the promise */
    struct case_run *run;
    struct target target;
    int listener_fd, socket_fd;
    char core_folder[PATH_MAX]; /* where it is to dump core when it is done; "": it is not */
    uint64_t registers_address, registers_bytes; /* the case's copy of them; 0 bytes: none */
    uint64_t pool_start, pool_next;
    struct model_operation operation; /* under way, or the last one */
    uint32_t op_index;
    uint64_t last_locked_bytes, last_ledger_calls; /* as of the operation before */
    uint64_t break_end;                            /* as the last brk asked for; 0: unknown */
    bool in_subject; /* between BEGIN and END of an operation that calls the subject */
    bool loaded, finished;
    struct watched_slot slots[MODEL_SLOTS];
    size_t fills_count, fills_room;
    struct fill *fills;
    struct {
        bool armed, on, after, told;
        int call, error;
        unsigned nth, counted;
    } fault;
    size_t seen_room;
};

struct seen *watch_seen_add(struct watch *watch, enum seen_kind kind);
/* Does the tests' knob say that this observer sees nothing wrong, ever? */
bool watch_blind(const struct watch *watch, unsigned observer);
/* Does the promise look through any of these observers? What none looks at need not be written down. */
bool watch_wants(const struct watch *watch, unsigned observers);
/* An observer failed a control of its own: nothing seen in this case counts. */
void watch_failed(struct watch *watch, const char *how);

/* Takes one message with its descriptors (closed again unless kept); returns the reply's value. */
uint64_t watch_message(struct watch *watch, const struct case_message *message, const int *fds);
/* Takes one notification from the listener, looks, and answers it. */
void watch_notification(struct watch *watch);
void watch_close(struct watch *watch);

#endif
