/* SPDX-License-Identifier: MIT */
/*
 * commands.h: what strongroom can be told to do.
 */
#ifndef SUITE_COMMANDS_H
#define SUITE_COMMANDS_H

#include "options.h"

struct command {
    const char *name;
    const char *summary; /* for the list of commands */
    const char *help;    /* whole, with the usage line */
    const struct option *table;
    /* Returns the exit status. */
    int (*execute)(const struct options *options);
};

/* All commands; the last has no name. */
extern const struct command commands[];

/* Says on stderr, in one line, what is wrong. Returns 2, the exit status for it. */
__attribute__((format(printf, 1, 2))) int complain(const char *format, ...);

#endif
