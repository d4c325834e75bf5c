/* SPDX-License-Identifier: MIT */
/*
 * protocol.h: what supervisor and case say to each other, over one SOCK_SEQPACKET pair.
 *
 *   supervisor                         case
 *   START (+ program, filter, fds) -->
 *                                  <-- HELLO (+ fds: its own mem, smaps, status, pagemap, listener)
 *                                  <-- LOADED, or REFUSED (the table is wrong)
 *                                  <-- BEGIN, PLANTED, CHECK, FAULT, CHILD, END, VIOLATED ...
 *                                  <-- FINISHED
 *
 * The case waits for a reply to each message: it stands still while the supervisor looks. Structs are
 * passed as they are. strongroom-case is built together with the supervisor; a program of somebody
 * else's may have been linked long ago, so START begins with a version.
 */
#ifndef SUITE_CASE_PROTOCOL_H
#define SUITE_CASE_PROTOCOL_H

#include <limits.h>

#include "model/interpret.h"

#define CASE_SOCKET_FD 3     /* in the case, from its start */
#define CASE_EXIT_LOST 97    /* the case's exit status when its socket is gone */
#define CASE_EXIT_VERSION 94 /* and when the supervisor speaks another version of all this */
#define CASE_FDS_MAX 8

/* The pool of secret bytes: a memfd that the case reads and never maps. Fill number k lies behind
 * fill k-1, from a random start on, wrapping at the end. */
#define CASE_POOL_BYTES ((size_t)4 << 20)
/* One byte of the pool in so many is zero, the last of them, and no other: what wipes or copies a secret
 * as if it were a string then shows. A secret of less than a window has none. */
#define CASE_ZERO_EVERY ((size_t)61)

/* A value in the data segment of the case, by which the supervisor sees that it reads the right
 * memory: a descriptor that reads nothing must not pass for memory that holds nothing. */
#define CASE_MARKER UINT64_C(0x5ec5e77a11c0ffee)

enum case_start_flag {
    CASE_DESCRIBE = 1, /* load, describe the variants, finish */
    CASE_VERBOSE = 2,  /* leave stderr alone */
    CASE_HAND = 4,     /* start the hand: see hand.h */
    CASE_REGISTERS = 8 /* save vector registers when the subject returns; it is a copy of its own */
};

/* What the first eight bytes of START are, and the exit status above, never change. */
#define CASE_MAGIC UINT32_C(0x73726373)
/* To be raised when a message means something else; a change of layout changes it by itself. */
#define CASE_VERSION                                                                      \
    ((uint32_t)(1u << 24 ^ sizeof(struct case_start) ^ sizeof(struct case_message) << 6 ^ \
                sizeof(struct case_variant) << 12 ^ (unsigned)CASE_FAILED ^ MODEL_CODES << 4))

/* With START come the pool, and, where it is to dump core, the folder for that. */
#define CASE_START_FDS_MAX 2

struct case_start {
    uint32_t magic, version;
    uint32_t flags;
    uint32_t program_bytes; /* follow this struct */
    uint32_t filter_bytes;  /* follow the program: struct sock_filter[]; 0: no filter */
    uint64_t pool_start;
    char variant[64];
    char path[PATH_MAX];
};

enum case_kind {
    CASE_HELLO =
        1,         /* address: the marker's; event: address and size of its copy of the registers */
    CASE_LOADED,   /* the subject is loaded; no entry was called yet */
    CASE_REFUSED,  /* it cannot be used: text */
    CASE_VARIANT,  /* CASE_DESCRIBE: one variant, in variant */
    CASE_BEGIN,    /* an operation begins: operation, event as far as known */
    CASE_END,      /* it ended: operation, event; pool_offset: where the next secret begins */
    CASE_CHECK,    /* are the bytes at address those of fill? reply: 1 or 0 */
    CASE_CROWD,    /* size_bytes many struct shadow_secret at address; reply: how many are whole */
    CASE_PLANTED,  /* fill was planted: address, size, offset in the pool; not in a crowd */
    CASE_FAULT,    /* fail or heal: reply 1, or 0: cannot be done here */
    CASE_CHILD,    /* a forked child shows itself (+ fd of its mem) */
    CASE_VIOLATED, /* the shadow model: promise, text */
    CASE_RELEASE,  /* the ledger saw memory being given back: call, address, size */
    CASE_FINISHED, /* reply 1: die with a core now */
    CASE_FAILED    /* the harness itself failed: text */
};

/* CASE_HELLO: which descriptor is where among those passed; -1: could not be opened */
enum case_fd {
    CASE_FD_MEM,
    CASE_FD_SMAPS,
    CASE_FD_STATUS,
    CASE_FD_PAGEMAP,
    CASE_FD_LISTENER,
    CASE_FD_HAND,
    CASE_FD_BOUNCE
};

struct case_variant {
    char name[64], library[64], version[64];
    uint32_t flags, entries, claims_count;
    uint64_t min_align;
    char claims[MODEL_CLAIMS_MAX][MODEL_CLAIM_BYTES];
};

struct case_message {
    uint32_t kind;
    uint32_t op_index;
    struct model_operation operation;
    struct model_event event;
    /* CHECK, PLANTED, RELEASE, HELLO (address of the marker) */
    uint64_t address, size_bytes, pool_offset;
    uint64_t ledger_calls; /* END: how many calls the ledger has seen */
    uint32_t fill;
    int32_t call; /* RELEASE: system call number; FAULT: enum model_call */
    /* FAULT */
    uint32_t nth, after, on;
    int32_t error;
    int32_t fds[CASE_FDS_MAX]; /* HELLO: index into the descriptors passed, or -1 */
    int32_t listener_errno;    /* HELLO: why there is no listener */
    int32_t bounce_fd;         /* HELLO: the case's own number of CASE_FD_BOUNCE */
    char promise[MODEL_CLAIM_BYTES];
    char text[192];
};

struct case_reply {
    uint64_t value;
};

#endif
