/* SPDX-License-Identifier: MIT */
/*
 * plan.h: the cases of one promise, as its file planned them.
 */
#ifndef SUITE_PLAN_H
#define SUITE_PLAN_H

#include "suite/promise.h"

struct planned_case {
    char label[48];
    struct model_program program;
};

struct plan {
    size_t count, room;
    struct planned_case *cases;
    char error[192]; /* the first program that could not be read; "": none */
};

/* Fills plan with the cases of a promise; false if one of its programs is not a program. */
bool plan_make(struct plan *plan, const struct promise *promise);
void plan_free(struct plan *plan);

#endif
