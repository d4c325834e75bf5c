/* SPDX-License-Identifier: MIT */
/* privileges.h: a fuzzer runs without capabilities, under a limit on locked memory that binds it. */
#ifndef FUZZ_PRIVILEGES_H
#define FUZZ_PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>

/* Gives up all capabilities for good (also over exec), limits locked memory, which nobody can raise again, and sees by
 * one locked page that locks are real. False, and error holds one line, where a run would prove nothing. */
bool privileges_drop(size_t limit_bytes, char *error, size_t error_bytes);
/* Sets the soft limit on locked memory, or to the hard one where that is lower. */
bool privileges_limit(size_t limit_bytes);

#endif
