/* SPDX-License-Identifier: MIT */
/*
 * overwrite.h: what overrun-caught and underrun-caught share: the middle one of three secrets is
 * overwritten past one end, and freed.
 */
#ifndef SUITE_OVERWRITE_H
#define SUITE_OVERWRITE_H

#include "suite/judge.h"

/* side: "after" or "before" */
void overwrite_plan(struct plan *p, const char *side);
enum finding overwrite_judge(const struct case_run *run, struct evidence *evidence);

#endif
