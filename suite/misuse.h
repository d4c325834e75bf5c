/* SPDX-License-Identifier: MIT */
/*
 * misuse.h: what double-free and bad-free share: three live secrets, and a free that must be caught.
 */
#ifndef SUITE_MISUSE_H
#define SUITE_MISUSE_H

#include "suite/judge.h"

#define MISUSE_THREE "open\nalloc s0 n\nalloc s1 n\nalloc s2 n\nfill s0\nfill s1\nfill s2\n"

/* Did the misuse end the program, and are the live secrets whole? what: "a second free". */
enum finding misuse_judge(const struct case_run *run, const char *what, struct evidence *evidence);
/* How the subject ended the program, for people: its message, or the signal. */
const char *misuse_caught_by(const struct model_event *event);

#endif
