/* SPDX-License-Identifier: MIT */
/*
 * nearest.h: the known name that a mistyped word was probably meant to be.
 */
#ifndef SUITE_NEAREST_H
#define SUITE_NEAREST_H

/* The name nearest to word, by how many letters must be changed, or one that word begins;
 * NULL if none is close. names: NULL-terminated. */
const char *nearest(const char *word, const char *const *names);

#endif
