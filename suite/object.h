/* SPDX-License-Identifier: MIT */
/*
 * object.h: is a file a whole shared object? The dynamic loader maps what the headers say and dies by
 * SIGBUS where the file is shorter; that would look like a subject that crashes when loaded.
 */
#ifndef SUITE_OBJECT_H
#define SUITE_OBJECT_H

#include <stdbool.h>
#include <stddef.h>

/* False when the file's own headers say that a part of it is missing; why holds a line then. What is
 * wrong in another way is left to the loader, which says it better. */
bool object_is_whole(const char *path, char *why, size_t why_bytes);

#endif
