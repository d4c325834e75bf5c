/* SPDX-License-Identifier: MIT */
/*
 * promise.h: what a file in promises/ defines: one promise, its programs and its judge.
 *
 * A new promise is one new file promises/NAME.c that defines `const struct promise promise_NAME`
 * (dashes of the id are underscores in NAME); the build finds it by its place.
 */
#ifndef SUITE_PROMISE_H
#define SUITE_PROMISE_H

#include "model/program.h"
#include "result.h"

enum promise_level { PROMISE_CORE, PROMISE_HARDENING, PROMISE_EXTRA, PROMISE_LEVELS };

/* "core", "hardening", "extra" */
const char *promise_level_name(enum promise_level level);

/* What must be installed to look at all; a set. Where one cannot be, the promise is
 * `not observable here`. */
enum observer {
    OBSERVE_RELEASES = 1, /* bytes of memory as it is given back: seccomp notification, or ledger */
    OBSERVE_LOCKS = 2,    /* lo flag, VmLck, MADV_PAGEOUT */
    OBSERVE_MEMORY = 4,   /* /proc/PID/mem of the case */
    OBSERVE_FAULTS = 8,   /* making the Nth system call fail */
    OBSERVE_TRAPS = 16,   /* signals of a touched guard */
    OBSERVE_CHILDREN = 32,  /* memory of a forked child */
    OBSERVE_LIMIT = 64,     /* RLIMIT_MEMLOCK enforced on the case: CAP_IPC_LOCK is dropped */
    OBSERVE_IPC_LOCK = 128, /* CAP_IPC_LOCK can be kept: needs root */
    OBSERVE_PROCESS = 256,  /* all memory of the case, and its vector registers */
    OBSERVE_SECRETMEM =
        512,              /* memory that only the process itself can read, told from other memory */
    OBSERVE_SWAP = 1024,  /* a swap file of our own: changes the host, so only when asked for */
    OBSERVE_CORES = 2048, /* real core files; where they cannot be had, the `dd` flag must do */
    OBSERVERS = 12        /* how many */
};
/* "releases", "locks", ... of a single bit */
const char *observer_name(unsigned observer);

struct plan;
struct case_run;

/* What one case showed. */
enum finding {
    FINDING_KEPT,
    FINDING_BROKEN,
    FINDING_REFUSED, /* the subject said no cleanly: nothing to look at */
    FINDING_UNSEEN   /* nothing could be looked at; the summary says why */
};

struct promise {
    const char *id; /* as in claims: "zero-on-free" */
    enum promise_level level;
    const char *statement;   /* one sentence */
    const char *observed;    /* how it is observed, and what counts */
    const char *in_practice; /* what breaks it in practice */
    unsigned observers;      /* set of enum observer: all of them are needed */
    unsigned also;           /* set of enum observer: at work where they can be had */
    unsigned entries;        /* set of enum model_entry that it needs */
    unsigned flags;          /* SECRET_ALLOC_... that the subject must have set */
    /* Adds the programs. */
    void (*plan)(struct plan *plan);
    /* Judges one case that ran to its end (a subject that crashed or hung was judged already).
     * Fills evidence->summary and adds to evidence->details. */
    enum finding (*judge)(const struct case_run *run, struct evidence *evidence);
    /* The control that must pass; NULL: "correct". */
    const char *negative;
    /* Its cases take a second or more each: --quick and `--skip slow` leave it out. */
    bool slow;
    /* Its programs do what the subject may end: judge() weighs a death, wherever it happens. */
    bool deadly;
    /* Only some of its programs can show it broken: at least one, not each, must be seen broken on
     * the positive control. */
    bool control_partly;
    /* What else the controls must have shown for the observers to be trusted; NULL: nothing. On
     * false, why holds one line. */
    bool (*controls)(const struct evidence *positive, const struct evidence *negative, char *why,
                     size_t why_bytes);
};

/* All promises, core first, in the order of the design; NULL-terminated. */
extern const struct promise *const promises[];
const struct promise *promise_find(const char *id);

/* ---- for plan() ---- */

/* Adds one case. text may use the letter n for size; label is unique in its promise. */
void plan_case(struct plan *plan, const char *label, const char *text, const struct model_size *n);
/* Adds one of a size in its text form, as "3*page+17"; the label is "n=SIZE", or "PREFIX n=SIZE" where that is not "". */
void plan_at(struct plan *plan, const char *prefix, const char *size, const char *text);
/* Adds text once for each size of the sweep; labels are "n=SIZE". */
void plan_sweep(struct plan *plan, const char *text);
/* The same with a prefix for the labels: "PREFIX n=SIZE". */
void plan_sweep_as(struct plan *plan, const char *prefix, const char *text);
/* A dozen sizes of the sweep, for programs of many kinds: each kind of size is among them. */
void plan_part_as(struct plan *plan, const char *prefix, const char *text);
/* Are a few cases enough? The sweeps know by themselves. */
bool plan_is_quick(const struct plan *plan);
/* A program's text as it is put together; {0} is none yet. Aborts where it is longer than that. */
struct plan_text {
    size_t length;
    char bytes[16384];
};
__attribute__((format(printf, 2, 3))) void plan_text_add(struct plan_text *text, const char *format,
                                                         ...);
/* The sweep itself: small, around powers of two, around pages, to some 256 KiB. */
const struct model_size *plan_sizes(size_t *count);

#endif
