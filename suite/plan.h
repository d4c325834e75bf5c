/* SPDX-License-Identifier: MIT */
/*
 * plan.h: the cases of one promise, as its file planned them.
 */
#ifndef SUITE_PLAN_H
#define SUITE_PLAN_H

#include "suite/promise.h"

struct planned_case {
    char label[48];
    struct model_program *program; /* no longer than its operations; owned */
};

struct plan {
    bool quick; /* a few sizes only */
    size_t count, room;
    struct planned_case *cases;
    char error[192]; /* the first program that could not be read; "": none */
};

/* Fills plan with the cases of a promise; false if one of its programs is not a program. */
bool plan_make(struct plan *plan, const struct promise *promise, bool quick);
/* The planned case of that label; NULL: none. */
const struct planned_case *plan_find(const struct plan *plan, const char *label);
void plan_free(struct plan *plan);

#endif
