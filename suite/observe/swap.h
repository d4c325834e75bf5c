/* SPDX-License-Identifier: MIT */
/*
 * swap.h: a swap file of our own, in which secrets are looked for. It changes the host, so it is there
 * only when asked for (--allow-swap), and gone afterwards, whatever happens:
 *
 *     supervisor ----- pipe ----- guardian, in a session of its own
 *         | killed, ^C, crash        | end of file: swapoff, unlink
 */
#ifndef SUITE_OBSERVE_SWAP_H
#define SUITE_OBSERVE_SWAP_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "suite/observe/secrets.h"

struct swap {
    char path[PATH_MAX]; /* "": there is none */
    int fd;              /* of the file, O_DIRECT */
    int alive_fd;        /* held open as long as we live */
    pid_t guardian;
    size_t page_bytes;
    uint8_t *buffer; /* for reading, aligned */
    uint8_t
        *control; /* a page of our own that is not locked: it must be found, or nothing counts */
};

/* Makes and activates the file in $TMPDIR, else /var/tmp. False and one line: not as root, another
 * swap area is active, zswap holds pages back, the filesystem cannot, ... */
bool swap_open(struct swap *swap, size_t page_bytes, char *why, size_t why_bytes);
/* Deactivates and removes it; does nothing if it was never made. */
void swap_close(struct swap *swap);

/* Forgets all that was ever swapped out: the file is deactivated, zeroed, activated. */
bool swap_renew(struct swap *swap);

/* Called for each 8-byte window of secret bytes found; returns false to stop. */
typedef bool swap_found(void *arg, uint64_t offset, uint32_t pool_position);
/* Has the kernel push all pages of the process out, as far as it can, waits until our own unlocked
 * page is to be read in the file, and searches it all. False: that page never came. */
bool swap_search(struct swap *swap, pid_t pid, const struct secrets *secrets, swap_found *found,
                 void *arg);

#endif
