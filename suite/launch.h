/* SPDX-License-Identifier: MIT */
/*
 * launch.h: starts strongroom-case, or a subject that is a program, with nothing that would make a
 * check prove nothing.
 */
#ifndef SUITE_LAUNCH_H
#define SUITE_LAUNCH_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct launch {
    const char *case_path;    /* the program strongroom-case, or the subject itself */
    bool is_program;          /* it is the subject: executed by its path, which may be a script's */
    const char *under;        /* a command that runs it, blanks between its words; NULL: none */
    const char *subject_path; /* must be readable by the user it becomes */
    bool may_dump;            /* core; it goes to a folder of ours for that: see protocol.h */
    const cpu_set_t *cpus;    /* it may run on; NULL: where the calling thread may */
    bool keep_ipc_lock;       /* the case keeps CAP_IPC_LOCK; needs it here */
    bool drop_nothing;        /* blind on purpose: keeps what the supervisor has */
    bool verbose;             /* stderr is left alone, else /dev/null */
};

struct launched {
    pid_t pid;
    bool as_nobody;
    int pidfd, socket_fd;
};

/* Forks and execs: own session, no new privileges, no capabilities (root bypasses RLIMIT_MEMLOCK by
 * CAP_IPC_LOCK), user nobody where root can arrange it and that user can read the subject, no core,
 * soft RLIMIT_MEMLOCK of at most 8 MiB, killed with its supervisor. False and errno on failure; a
 * child that cannot get as far as exec says so by CASE_FAILED over the socket. */
bool launch(const struct launch *launch, struct launched *launched);

#endif
