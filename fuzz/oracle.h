/* SPDX-License-Identifier: MIT */
/*
 * oracle.h: looks, before, during and after each operation of a program, whether a promise is seen broken.
 *
 * The shadow model (model/shadow.h) judges pointers, sizes, errno and contents; this looks at memory:
 *
 *   when               what                                                     promise
 *   alloc returns      each page of the secret is locked                        locked, honest-lock
 *                      no word of any secret is in it, up to usable             fresh
 *                      not at once where the last one was freed                 use-after-free
 *   any call returns   every live secret: locked, its ends as planted           neighbour
 *   free returns       no word of the secret is in its place                    zero-on-free
 *                      and no byte but zero                                     all-zero
 *   resize returns     the same for the old place, or for the tail cut off      zero-on-resize
 *                      what was added shows nothing old                         fresh
 *   close returns      no word of any live secret is in its place               zero-on-close
 *                      VmLck is what it was before the program                  accounting
 *   before close       where a call was refused: VmLck is what locked_bytes says accounting
 *   memory is given    no word of a dead secret is in what munmap, munlock,     zero-on-free, ...
 *   back (ledger)      madvise, mremap, brk take out of the subject's care
 *   touch, walk        a guard traps where claimed; SEGV_ACCERR                 guard-after, -before
 *   touch inside       traps as the access says                                 states, sizes
 *   smash, free        the free is noticed                                      overrun-, underrun-caught
 *   misuse             is noticed, and nothing is changed before                double-free, bad-free
 *   fork               the child reads no live secret, and can use what it may  fork
 *   open               again after close                                        reopen
 *   fill               the kernel itself reads no byte of it                    unreadable
 *   any                does not crash                                           that of the operation
 *
 * Once calls that unlock or unmap failed, VmLck is not judged: what cannot be unlocked stays locked. Nor once mprotect or
 * madvise failed in a call that gives back, or fail again and again.
 */
#ifndef FUZZ_ORACLE_H
#define FUZZ_ORACLE_H

#include "fuzz/admit.h"
#include "fuzz/violation.h"
#include "model/interpret.h"

/* What the oracle did since the process started: a check that never ran proves nothing. */
enum oracle_check {
    ORACLE_LOCKS,
    ORACLE_FRESH,
    ORACLE_NEIGHBOURS,
    ORACLE_FREED_PLACE,
    ORACLE_RESIZED_PLACE,
    ORACLE_CLOSED_PLACE,
    ORACLE_RELEASED,
    ORACLE_QUOTA,
    ORACLE_GUARD,
    ORACLE_ACCESS,
    ORACLE_SMASH,
    ORACLE_MISUSE,
    ORACLE_CHILD,
    ORACLE_REOPEN,
    ORACLE_UNREADABLE,
    ORACLE_CHECKS
};
extern const char *const oracle_check_names[ORACLE_CHECKS];

struct oracle;

/* The one oracle of this process: variant is what is looked at; locked_by_others: bytes, before it was loaded. off: only the
 * shadow model judges. */
struct oracle *oracle_start(const struct secret_alloc *variant, const struct claims *claims,
                            uint64_t locked_by_others, bool off);
/* Forgets what was seen; before each program. */
void oracle_fresh(struct oracle *oracle);
/* The interpreter's view of it. */
struct model_host oracle_host(struct oracle *oracle);
/* After each program. */
void oracle_finish(struct oracle *oracle);
/* The first violation; promise_id empty: none. */
const struct violation *oracle_violation(const struct oracle *oracle);
/* False: memory could not be looked at, so that nothing was seen proves nothing. */
bool oracle_could_see(const struct oracle *oracle);
/* How often each check was made since oracle_start. */
const uint64_t *oracle_counts(const struct oracle *oracle);
/* Promises whose violations are not reported: ids separated by commas. False: one is too long. */
bool oracle_ignore(struct oracle *oracle, const char *promise_ids);

#endif
