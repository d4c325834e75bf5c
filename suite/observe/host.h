/* SPDX-License-Identifier: MIT */
/*
 * host.h: what can be observed on this machine, by this user, in this run.
 *
 * Two knobs for the tests of the harness itself; both take observer names, comma-separated:
 *   STRONGROOM_DENY   the observer cannot be installed: `not observable here`
 *   STRONGROOM_BLIND  the observer sees nothing wrong, ever: its control must notice: `error`;
 *                     `model` alone: what the shadow model finds wrong is not heard
 * And one for tools that run a program, as Valgrind does:
 *   STRONGROOM_UNDER  a command, blanks between its words, that each case is run under
 */
#ifndef SUITE_OBSERVE_HOST_H
#define SUITE_OBSERVE_HOST_H

#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>

#include "suite/observe/notify.h"
#include "suite/observe/secrets.h"
#include "suite/observe/swap.h"
#include "suite/promise.h"

struct host {
    char directory[PATH_MAX]; /* where the program and all that belongs to it lie */
    char case_path[PATH_MAX];
    const char *under; /* what the case is run under; NULL: nothing */
    bool root;         /* effective uid 0: the case can be given another user, and CAP_IPC_LOCK */
    bool ipc_lock;     /* CAP_IPC_LOCK is there to be kept */
    size_t page_bytes;
    cpu_set_t cpus; /* that we may run on; empty: unknown */
    struct notify_filter filters[NOTIFY_WATCHES];
    struct secrets secrets;
    struct swap *swap;              /* NULL: there is none */
    unsigned denied, blind;         /* sets of enum observer */
    bool model_is_deaf;             /* nobody hears what the shadow model finds wrong */
    const char *why_not[OBSERVERS]; /* NULL: available */
    char no_listener[128], no_swap[128], no_cores[128];
    char no_memory[160]; /* why nobody can lock a single page here; "": one can */
};

/* Finds the program's own files, makes filters and secrets. False and one line on failure. */
bool host_open(struct host *host, char *error, size_t error_bytes);
/* Also ends what subjects left running. Call it on failure of what came after host_open, too. */
void host_close(struct host *host);
/* Has a swap file made, for as long as the host is open. */
void host_allow_swap(struct host *host);

/* After a first case said what it could open: marks what cannot be observed. seen: set of enum
 * observer. listener_errno: why there is no seccomp listener, or 0. */
void host_learn(struct host *host, unsigned seen, int listener_errno);

/* A control that must pass got no memory at all: then nothing can be observed. */
void host_refuses(struct host *host, const char *how);

/* Why an observer of the set cannot be installed; NULL if all can. */
const char *host_lacks(const struct host *host, unsigned observers);

#endif
