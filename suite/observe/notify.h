/* SPDX-License-Identifier: MIT */
/*
 * notify.h: the outside observer of system calls: seccomp user notification.
 *
 * The supervisor makes the filter, the case installs it before it loads the subject and passes the
 * listener over. A watched call stops its thread until we answer: carry on, or fail with an errno.
 * Raw system calls and those of other languages' run-times are seen like libc's.
 */
#ifndef SUITE_OBSERVE_NOTIFY_H
#define SUITE_OBSERVE_NOTIFY_H

#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/program.h"

/* A filter program as seccomp(2) takes it: an array of struct sock_filter. */
struct notify_filter {
    size_t size_bytes;
    uint8_t bytes[4096];
};

/* Every filter watches signals to others; a watched call costs some 10 us, so the rest only where
 * it is needed. */
enum notify_watch {
    NOTIFY_SIGNALS,  /* no more than that */
    NOTIFY_RELEASES, /* and what gives memory back, or ends the process */
    NOTIFY_FAULTS,   /* and whatever `fail` can name */
    NOTIFY_WATCHES
};
/* False and a reason if libseccomp cannot. */
bool notify_filter_make(struct notify_filter *filter, enum notify_watch watch, char *why,
                        size_t why_bytes);

/* What a stopped call means. */
enum notify_meaning {
    NOTIFY_OTHER,   /* nothing: let it pass */
    NOTIFY_RELEASE, /* memory [address, address + size_bytes) is about to be given back */
    NOTIFY_REMAP,   /* mremap: see remap */
    NOTIFY_VECTOR,  /* process_madvise: size_bytes ranges, described at address */
    NOTIFY_FILE,    /* the file behind `descriptor` loses its pages, wherever it is mapped, from
                       size_bytes on; descriptor -1: some of them */
    NOTIFY_BREAK,   /* brk: address is the new end; what lies behind it is given back */
    NOTIFY_SIGNAL /* a signal to process `process`; INT_MIN: to one that only a descriptor names */
};

struct notify_call {
    enum notify_meaning meaning;
    uint64_t address, size_bytes;
    struct {
        uint64_t old_address, old_bytes, new_bytes, new_address;
        bool moves, onto; /* may move; to new_address, over what is there */
    } remap;
    int process, descriptor;
    int fault; /* the enum model_call it counts as, or -1 */
    char name[24];
};

/* Takes the next notification; false: none, or its thread is gone. */
bool notify_receive(int listener_fd, struct seccomp_notif *request);
struct notify_call notify_read(const struct seccomp_notif *request);
/* error 0: the call is carried out; else it fails with that errno and is not. */
void notify_answer(int listener_fd, const struct seccomp_notif *request, int error);

#endif
