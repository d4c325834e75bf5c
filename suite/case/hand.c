/* SPDX-License-Identifier: MIT */
/* hand.c: see hand.h. No libc but to start: what it does between two calls is nobody's business. */
#include "suite/case/hand.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "model/raw.h"

#define STACK_BYTES ((size_t)64 << 10)

/* (Where a long has 32 bits there is no room for it, and a program's hand is not answered.) */
static uint64_t marked(uint64_t argument)
{
    return (argument & UINT32_MAX) | (uint64_t)HAND_MARK << 32;
}

static void *serve(void *arg)
{
    long fd = (long)arg;
    struct hand_request request;
    struct hand_reply reply;
    for (;;) {
        long got = raw_call6(SYS_recvfrom, fd, (long)&request, sizeof request, 0, 0, 0);
        if (got == -EINTR)
            continue;
        if (got != (long)sizeof request)
            return NULL; /* the supervisor is gone, or the subject took our descriptor */
        const uint64_t *a = request.arguments;
        reply.result = raw_call6((long)request.number, (long)a[0], (long)a[1], (long)a[2],
                                 (long)a[3], (long)marked(a[4]), (long)a[5]);
        raw_call6(SYS_sendto, fd, (long)&reply, sizeof reply, MSG_NOSIGNAL, 0, 0);
    }
}

static bool thread_start(long fd)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    if (pthread_attr_init(&attributes) != 0)
        return false;
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)sigfillset(&all); /* the subject's signals are not for it */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&thread, &attributes, serve, (void *)fd) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    return started;
}

bool hand_start(struct hand *hand)
{
    int sockets[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0)
        return false;
    hand->socket_fd = sockets[0];
    hand->bounce_fd = memfd_create("strongroom-bounce", MFD_CLOEXEC);
    return hand->bounce_fd >= 0 && ftruncate(hand->bounce_fd, HAND_BOUNCE_BYTES) == 0 &&
           thread_start(sockets[1]);
}
