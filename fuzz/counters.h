/* SPDX-License-Identifier: MIT */
/*
 * counters.h: what a program does, as counters for the engines: a subject that was not compiled for
 * coverage is otherwise a black box to them.
 *
 *   (operation, outcome, class of its size)   each combination is a feature of its own
 *   (operation, operation before it)          so is each pair
 */
#ifndef FUZZ_COUNTERS_H
#define FUZZ_COUNTERS_H

#include "model/interpret.h"

#define FEATURES 4096u

/* Before each program. */
void features_fresh(void);
/* After each operation. Async-signal-safe. */
void features_note(const struct model_operation *operation, const struct model_event *event);

#endif
