/* SPDX-License-Identifier: MIT */
/*
 * supervise.h: runs one case, a program on a subject in a process of its own, and records what was
 * seen of it.
 *
 *     supervisor                    strongroom-case (no capabilities, own session, limits set)
 *        | launch: fork, drop, exec ---> load subject, then for each operation:
 *        | <-- BEGIN ------------------- |
 *        | <-- notification: munmap ---- | the subject's entry runs      (seccomp listener)
 *        |     look at the bytes, answer |
 *        | <-- END --------------------- |
 *        |     look at bytes and locks, reply
 */
#ifndef SUITE_SUPERVISE_H
#define SUITE_SUPERVISE_H

#include "model/interpret.h"
#include "suite/case/protocol.h"
#include "suite/observe/host.h"
#include "suite/observe/target.h"

/* A variant as the supervisor knows it. */
struct variant {
    char path[PATH_MAX];
    bool is_program; /* it is executed, not loaded */
    struct case_variant is;
};

bool variant_claims(const struct variant *variant, const char *promise_id);

enum seen_kind {
    SEEN_OPERATION, /* event; locked_bytes */
    SEEN_RELEASE,   /* bytes: memory about to be given back, where it held or was a secret */
    SEEN_BYTES,     /* bytes: at the place of a secret after it was freed, moved, or on peek */
    SEEN_LOCKS,     /* locks, pageout_pages: of a live secret */
    SEEN_CHECK,     /* good: the bytes of a live secret are those planted; text: where not */
    SEEN_CHILD,     /* bytes: at the place of a live secret, in a forked child */
    SEEN_RESIDUE, /* bytes: of dead secrets anywhere; text: in which mapping. The last one of a look,
                       with good, is the sum */
    SEEN_OUTSIDE,  /* bytes: place_bytes of a live secret were read by another process */
    SEEN_SWAP,     /* bytes on the swap device; address: where in the file. good: it was searched */
    SEEN_CORE,     /* bytes in the core file; address: where in it. good: it is the case's own */
    SEEN_FAULT,    /* text: the system call that was made to fail */
    SEEN_SIGNAL,   /* text: the subject tried to signal a process that is not its own */
    SEEN_VIOLATION /* promise, text: by the shadow model */
};
#define SEEN_KINDS ((unsigned)SEEN_VIOLATION + 1)

/* Secret bytes in a range of memory. `windows` count runs of 8 consecutive bytes. */
struct seen_bytes {
    char where
        [24]; /* "munmap", "free" (when it returned), "child", "peek", "process", "registers" */
    unsigned slot; /* whose place it is; MODEL_SLOTS: no one's */
    uint64_t address, size_bytes, readable_bytes;
    uint64_t dead_windows;  /* of secrets that were freed, or are being freed */
    uint64_t dead_address;  /* of the first one */
    uint64_t dead_offset;   /* its offset in its secret */
    uint64_t live_windows;  /* of other secrets */
    uint64_t place_bytes;   /* how much of the secret's own place the range covers */
    uint64_t place_nonzero; /* bytes there that are not zero */
    uint32_t short_bytes;   /* size of a secret shorter than a window, if it stood here */
    bool short_whole;       /* all its bytes still stand at its place */
};

struct seen {
    enum seen_kind kind;
    uint32_t op_index;
    struct model_operation operation; /* the one during which it was seen */
    struct model_event event;
    uint64_t locked_bytes; /* VmLck; UINT64_MAX: not read */
    struct seen_bytes bytes;
    struct target_locks locks;
    uint64_t pageout_pages; /* pages on which MADV_PAGEOUT said EINVAL, as locked ones do */
    bool good;
    char promise[MODEL_CLAIM_BYTES];
    char text[192];
};

enum ending {
    ENDED_FINISHED, /* the program ran to its end, or to a death that the interpreter caught */
    ENDED_EXITED,   /* the process exited by itself: code */
    ENDED_KILLED,   /* by a signal that could not be caught: code */
    ENDED_LOST,     /* the subject closed the harness's descriptors */
    ENDED_HUNG,
    ENDED_REFUSED, /* the subject cannot be used: text */
    ENDED_FAILED   /* the harness itself: text */
};

/* All that was seen of one case. */
struct case_run {
    const struct variant *variant;
    const char *label;
    const struct model_program *program;
    size_t page_bytes;
    unsigned observers;             /* set of enum observer that were at work */
    uint64_t unloaded_locked_bytes; /* VmLck before the subject was loaded */
    uint64_t baseline_locked_bytes; /* VmLck before open */
    enum ending ending;
    int code;
    bool greeted;       /* the case said HELLO: a program that never does is no subject */
    bool as_nobody;     /* it ran as user nobody */
    char text[192];     /* reason of REFUSED, FAILED */
    char operation[96]; /* the operation that was under way at the end; "" when loading */
    size_t count;
    struct seen *seen;
    size_t variants_count; /* CASE_DESCRIBE */
    struct case_variant *variants;
};

struct case_order {
    const struct variant *variant;
    const struct model_program *program; /* NULL: describe the variants */
    const char *label;
    unsigned observers; /* set of enum observer that are wanted; others may be left out */
    unsigned timeout_ms;
    bool verbose; /* the subject's stderr is left alone */
};

/* Runs one case to its end; thread-safe. The caller frees what it holds with case_run_free. */
void supervise(const struct host *host, const struct case_order *order, struct case_run *run);
void case_run_free(struct case_run *run);

#endif
