/* SPDX-License-Identifier: MIT */
/*
 * object.h: what kind of file a subject is, and whether it is whole. The dynamic loader maps what the
 * headers say and dies by SIGBUS where the file is shorter; that would look like a subject that crashes
 * when loaded.
 */
#ifndef SUITE_OBJECT_H
#define SUITE_OBJECT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* False when the file's own headers say that a part of it is missing; why holds a line then. What is
 * wrong in another way is left to the loader, which says it better. */
bool object_is_whole(const char *path, char *why, size_t why_bytes);

/* Is it to be executed rather than loaded: an ELF executable, position-independent or not, or a script
 * that names its interpreter? */
bool object_is_program(const char *path);

/* The program that the file itself says the kernel is to start for it: a script's interpreter, or an
 * executable's dynamic loader. False: it names none. */
bool object_interpreter(const char *path, char interpreter[PATH_MAX]);

#endif
