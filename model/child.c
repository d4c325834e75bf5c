/* SPDX-License-Identifier: MIT */
/*
 * child.c: a forked child, in which the host looks around and which may then use the allocator.
 * A child that hangs is killed: nothing that a subject does in it can hold up the parent.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "machine.h"
#include "raw.h"

#define CHILD_SECONDS_MAX 5
#define CHILD_SECRET_BYTES 40u
#define WAIT_NS_FIRST 50000L
#define WAIT_NS_MAX 5000000L

/* ------------------------------------------------------------------------------------ the child */

static unsigned char pattern(unsigned i)
{
    return (unsigned char)(0xa5u ^ (i * 7u));
}

/* A pattern, not a planted secret: the host's secrets are the parent's business. */
static enum model_child child_allocates(const struct machine *m)
{
    volatile unsigned char *p = m->variant->alloc(m->context, CHILD_SECRET_BYTES);
    bool same = true;
    if (p == NULL)
        return MODEL_CHILD_REFUSED;
    for (unsigned i = 0; i < CHILD_SECRET_BYTES; i++)
        p[i] = pattern(i);
    for (unsigned i = 0; i < CHILD_SECRET_BYTES; i++)
        same = same && p[i] == pattern(i);
    m->variant->free(m->context, (void *)(uintptr_t)p, CHILD_SECRET_BYTES);
    return same ? MODEL_CHILD_FINE : MODEL_CHILD_WRONG;
}

static enum model_child child_uses(const struct machine *m)
{
    enum model_child result = MODEL_CHILD_FINE;
    if (!m->open)
        return result;
    if (m->variant->flags & SECRET_ALLOC_CHILD_MAY_ALLOC)
        result = child_allocates(m);
    if (m->variant->flags & SECRET_ALLOC_CHILD_MAY_FREE)
        for (unsigned i = 0; i < MODEL_SLOTS; i++)
            if (m->shadow.slots[i].address != 0)
                m->variant->free(m->context, (void *)m->shadow.slots[i].address,
                                 m->shadow.slots[i].size_bytes);
    return result;
}

static _Noreturn void child_run(struct machine *m)
{
    enum model_child result = MODEL_CHILD_FINE;
    m->in_child = true;
    trap_default(); /* the parent is to see what kills it */
    m->host->in_child(m->host->arg, m->event.op_index);
    if (m->operation->arg & MODEL_FORK_USE)
        result = child_uses(m);
    for (;;)
        raw_call1(SYS_exit_group, result);
}

/* ----------------------------------------------------------------------------------- the parent */

static long now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long)now.tv_sec;
}

static long child_poll(long pid, int *status, int flags)
{
    long result;
    do
        result = raw_call4(SYS_wait4, pid, status, flags, 0);
    while (result == -EINTR);
    return result;
}

/* False if the child had to be killed. */
static bool child_wait(long pid, int *status)
{
    long pause[2] = {0, WAIT_NS_FIRST}; /* the kernel's own timespec, of two longs */
    long start = now_seconds();
    while (child_poll(pid, status, WNOHANG) == 0) {
        if (now_seconds() - start > CHILD_SECONDS_MAX) {
            raw_call2(SYS_kill, pid, SIGKILL);
            child_poll(pid, status, 0);
            return false;
        }
        raw_call2(SYS_nanosleep, pause, 0);
        if (pause[1] < WAIT_NS_MAX)
            pause[1] *= 2;
    }
    return true;
}

void machine_fork(struct machine *m)
{
    int status = 0;
    long pid = m->operation->arg & MODEL_FORK_RAW ? raw_call1(SYS_clone, SIGCHLD) : (long)fork();
    if (pid == 0)
        child_run(m);
    if (pid < 0) {
        machine_refused(m, m->operation->arg & MODEL_FORK_RAW ? (int)-pid : errno);
        return;
    }
    if (!child_wait(pid, &status))
        snprintf(m->event.message, sizeof m->event.message, "the child hung");
    if (WIFSIGNALED(status))
        m->event.signal = WTERMSIG(status);
    else
        m->event.count = (uint64_t)WEXITSTATUS(status);
}
