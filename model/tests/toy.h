/* SPDX-License-Identifier: MIT */
/*
 * toy.h: a small allocator with knobs, and a host that records, for the tests of the interpreter.
 *
 * Each secret has a mapping of its own; its end is rounded up to 16 bytes and meets a guard:
 *
 *     | no access | .......... secret | slack | no access |
 */
#ifndef MODEL_TESTS_TOY_H
#define MODEL_TESTS_TOY_H

#include "model/interpret.h"

#define TOY_PAGE ((size_t)4096)
#define TOY_LIVE_MAX 4096u

enum toy_bad { TOY_FATAL, TOY_ABORT, TOY_CRASH, TOY_IGNORE };

struct toy {
    /* knobs */
    enum toy_bad bad;      /* what a free of something unknown leads to */
    size_t room;           /* so many may be alive; more: ENOMEM */
    size_t misplace_bytes; /* taken off each address */
    int refuse_errno;      /* with which a refusal comes */
    bool own_handlers;     /* open installs signal handlers of its own */
    bool crash_in_child;   /* alloc crashes in a process other than the one that opened */
    bool hang_in_child;
    bool fatal_in_child;  /* free calls fatal there */
    int error;            /* what open, close and protect return */
    bool spill;           /* free damages the neighbour that is alive */
    uint64_t locked_step; /* added to locked_bytes at each refusal */
    size_t usable_less;   /* taken off usable */
    unsigned
        storm_bad_at; /* the free at which toy_storm takes the secret for an unknown one; 0: none */
    /* seen */
    unsigned opened, closed, handlers_run;
    struct secret_config config;
    size_t last_size, last_old_size;
    unsigned unlocked; /* secrets that the limit of this machine let nobody lock */
    void *first_freed;
    long thread; /* of the last alloc */
    uint64_t locked_bytes;
    struct {
        void *p, *map;
        size_t size, map_bytes;
    } live[TOY_LIVE_MAX];
    size_t live_count;
    long process;
};
extern struct toy toy;
/* All entries; the reduced table has the required ones only. */
extern const struct secret_alloc toy_table, toy_required;
/* The required ones, and two threads may call them at once. */
extern const struct secret_alloc toy_storm;
/* Unmaps what is alive and sets every knob back. */
void toy_reset(void);

struct recorded {
    struct model_operation operation;
    struct model_event before, after;
    long thread;
    bool ended;
};

/* Everything the interpreter told its host. */
struct record {
    struct model_host host;
    struct recorded operations[MODEL_OPERATIONS_MAX];
    size_t count;
    unsigned plants, matches, children;
    bool bad_memory; /* plant says no */
    bool cannot_fail;
    struct {
        enum model_call call;
        unsigned nth;
        int error;
        bool after, on;
    } fault;
    unsigned violations;
    uint32_t violated_at;
    char promise[32], detail[128];
    const char *misorder; /* a begin without end, or the like */
};
extern struct record record;
/* Where the outcome and signal of a death are written besides, unless 0. */
extern int record_to;

/* Reads the text, runs it on the table with a fresh record. Fails the test if the text is wrong or
 * the interpreter reports an error of the harness. */
void toy_run(const struct secret_alloc *table, const char *text);
/* The event with which operation `index` ended; fails the test if it did not. */
const struct model_event *ended(size_t index);

#endif
