/* SPDX-License-Identifier: MIT */
/*
 * hand.h: the supervisor's hand in the case: a thread that makes system calls for it, one at a time.
 *
 *     supervisor -- request {number, arguments} --> hand: the call, in this address space
 *                <-- result ----------------------
 *
 * It serves two ends. memfd_secret pages can be read by nobody but the process itself: here
 * pwrite64(bounce, p, n, 0) does, also while the subject's thread stands still in munmap. And a call
 * that is to fail after taking effect has to take effect.
 *
 * It starts before the filter is installed, so that its own calls are not watched.
 */
#ifndef SUITE_CASE_HAND_H
#define SUITE_CASE_HAND_H

#include <stdbool.h>
#include <stdint.h>

#define HAND_BOUNCE_BYTES 65536u

struct hand_request {
    int64_t number;
    uint64_t arguments[6];
};

struct hand_reply {
    int64_t result; /* the kernel's: a value, or minus an errno */
};

struct hand {
    int socket_fd; /* the supervisor's end, to be passed over */
    int bounce_fd; /* a memfd; stays open here too */
};

/* False: no thread or no descriptors. */
bool hand_start(struct hand *hand);

#endif
