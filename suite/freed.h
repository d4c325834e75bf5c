/* SPDX-License-Identifier: MIT */
/*
 * freed.h: what zero-on-free and all-zero share: their programs, and what was seen of freed memory.
 */
#ifndef SUITE_FREED_H
#define SUITE_FREED_H

#include "suite/judge.h"

void freed_plan(struct plan *p);
/* Secret bytes found in freed memory. A secret of under 8 bytes counts if so many of the four rounds
 * left all of it that it cannot be chance. */
enum finding freed_leak(const struct case_run *run, struct evidence *evidence);
/* The same without short ones, in any program: the first look that showed bytes of a dead secret. */
enum finding freed_windows(const struct case_run *run, struct evidence *evidence);
/* How many looks of that kind showed such bytes: SEEN_BYTES in place, SEEN_RELEASE on the way out. */
uint64_t freed_looks(const struct case_run *run, enum seen_kind kind);
/* How many bytes of a slot's place were seen during one operation, in place or on the way out. */
uint64_t freed_place_seen(const struct case_run *run, uint32_t op_index, unsigned slot);
/* A byte that is not zero. */
enum finding freed_nonzero(const struct case_run *run, struct evidence *evidence);
/* Was each freed place seen, either when free returned or when it was given back? FINDING_UNSEEN:
 * it was gone, and nobody saw it go. */
enum finding freed_looked_at(const struct case_run *run, struct evidence *evidence);

#endif
