/* SPDX-License-Identifier: MIT */
/*
 * guard.h: what guard-after and guard-before share: the walk outward to the first trap.
 */
#ifndef SUITE_GUARD_H
#define SUITE_GUARD_H

#include "suite/judge.h"

/* side: "after" or "before" */
void guard_plan(struct plan *p, const char *side);
/* A trap by a guard: mapped, and not to be touched. SEGV_MAPERR is an absent neighbour, by luck. */
bool guard_trapped(const struct model_event *event);
/* How many bytes past its end the guard of the secret that was walked from may be. aligned: it was
 * asked for with GUARD_ALIGN_BYTES. */
typedef uint64_t guard_distance(const struct case_run *run, const struct model_event *walk,
                                bool aligned);
/* The alignment that one secret is asked for with. */
#define GUARD_ALIGN_BYTES 64u
#define GUARD_ALIGN_TEXT "64"
/* Is the first trap a guard, no further past that end of the middle one of three, as it was allocated,
 * when it is resized, and when its neighbours are gone; and of one that was asked for with an
 * alignment? */
enum finding guard_judge(const struct case_run *run, guard_distance *distance_max_bytes,
                         struct evidence *evidence);

#endif
