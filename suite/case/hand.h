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
 * Its calls are not watched. It starts before the filter is installed; and where that is laid on all
 * threads, the filter lets pass what bears the hand's mark: in the upper half of the fifth argument,
 * which no call that the hand is asked for uses (mmap's descriptor has 32 bits).
 */
#ifndef SUITE_CASE_HAND_H
#define SUITE_CASE_HAND_H

#include <stdbool.h>
#include <stdint.h>

#define HAND_BOUNCE_BYTES 65536u
#define HAND_MARK UINT32_C(0x0068616e)
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define HAND_MARK_OFFSET 4u /* of the upper half in an argument of 64 bits */
#else
#define HAND_MARK_OFFSET 0u
#endif

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
