/* SPDX-License-Identifier: MIT */
/*
 * target.h: the fuzz target: any bytes are a program; it runs on a fresh instance of the subject,
 * watched by the oracle, and everything is torn down again.
 *
 *     bytes -> decode -> admit -> interpret, oracle -> heal, free, close -> discard
 *
 * What it is to run comes from the environment, since the engines own the command line:
 *
 *   STRONGROOM_SUBJECT   path of the shared object
 *   STRONGROOM_VARIANT   name of one of its variants; may be left out where it has one
 *   STRONGROOM_IGNORE    promises known to be broken, separated by commas
 *   STRONGROOM_ORACLE    `off`: only the shadow model judges (to measure what the rest costs)
 *   STRONGROOM_FORK      `always`: every program may fork
 *   STRONGROOM_REPORT    a file to which a line is added for what an engine's program breaks: hash of the input, promise,
 *                        operation, text
 */
#ifndef FUZZ_TARGET_H
#define FUZZ_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fuzz/oracle.h"
#include "fuzz/violation.h"

/* What the target did since it started. */
struct target_counts {
    uint64_t programs;
    uint64_t operations[MODEL_CODES][MODEL_DIED + 1]; /* by their outcome */
    const uint64_t *checks;                           /* ORACLE_CHECKS of them */
};

/* Drops all capabilities, puts a limit on locked memory, makes sure that locks are real and seen, loads
 * the subject. Ends the process with status 2 and one line on stderr where it cannot. No memory is locked
 * when it returns: engines fork, and locks do not survive that. */
void target_start(void);
/* Did the subject lock memory or begin threads while it was loaded? A forked child has neither: so it has to start anew. */
bool target_is_bound_to_process(void);
/* Runs one program. NULL, or what was seen broken (valid until the next call). */
const struct violation *target_run(const uint8_t *bytes, size_t count_bytes);
const struct target_counts *target_counts(void);
/* What is run: the name of a variant. */
const char *target_subject(void);
/* One line of JSON, of what is called subject. */
void target_print(const struct violation *violation, const char *subject);
/* Runs one program; where something is broken says so on stderr, and aborts. */
void target_run_or_abort(const uint8_t *bytes, size_t count_bytes);

#endif
