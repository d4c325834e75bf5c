/* SPDX-License-Identifier: MIT */
/*
 * emit.h: a program as C: one file that needs libc, a subject, and nothing of strongroom.
 *
 * It loads the subject, carries out the same operations, says after each what happened, and points
 * out as BAD what a correct allocator does not do. So that whoever has to mend the allocator needs
 * only a compiler and a debugger.
 */
#ifndef MODEL_EMIT_H
#define MODEL_EMIT_H

#include <stdio.h>

#include "program.h"

/* Prints the program to out. subject_path and variant_name (NULL or "": the first one) are what it
 * loads unless it is given others as arguments. False if out could not be written. */
bool model_emit_c(const struct model_program *program, const char *subject_path,
                  const char *variant_name, FILE *out);

#endif
