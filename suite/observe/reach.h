/* SPDX-License-Identifier: MIT */
/*
 * reach.h: what the supervisor has done by the hand in the case (suite/case/hand.h).
 */
#ifndef SUITE_OBSERVE_REACH_H
#define SUITE_OBSERVE_REACH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reach {
    int socket_fd;      /* -1: this case has no hand */
    int bounce_fd;      /* our descriptor of what it writes to */
    int case_bounce_fd; /* the case's own number of it */
};

/* Makes one system call in the case; the kernel's result. -ENOTCONN: there is no hand, or it does not
 * answer within a second. */
int64_t reach_call(const struct reach *reach, long number, const uint64_t arguments[6]);

/* Reads what only the case itself can read, pages without access too: those are made readable
 * for the moment. At most to the end of the page; returns how many bytes. */
size_t reach_read(const struct reach *reach, uint64_t address, void *out, size_t size_bytes,
                  size_t page_bytes);

#endif
