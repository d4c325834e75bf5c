/* SPDX-License-Identifier: MIT */
/* reach.c: requests to the hand in the case. */
#include "suite/observe/reach.h"

#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "suite/case/hand.h"

#define ANSWER_MS 1000

int64_t reach_call(const struct reach *reach, long number, const uint64_t arguments[6])
{
    struct hand_request request = {.number = number};
    struct hand_reply reply;
    struct pollfd answer = {.fd = reach->socket_fd, .events = POLLIN};
    for (unsigned i = 0; i < 6; i++)
        request.arguments[i] = arguments[i];
    if (reach->socket_fd < 0 ||
        send(reach->socket_fd, &request, sizeof request, MSG_NOSIGNAL) != sizeof request ||
        poll(&answer, 1, ANSWER_MS) != 1 ||
        recv(reach->socket_fd, &reply, sizeof reply, 0) != sizeof reply)
        return -ENOTCONN;
    return reply.result;
}

static int64_t bounce(const struct reach *reach, uint64_t address, size_t size_bytes)
{
    return reach_call(reach, SYS_pwrite64,
                      (uint64_t[6]){(uint64_t)reach->case_bounce_fd, address, size_bytes, 0});
}

static int64_t page_access(const struct reach *reach, uint64_t address, size_t page_bytes,
                           int access)
{
    return reach_call(
        reach, SYS_mprotect,
        (uint64_t[6]){address / page_bytes * page_bytes, page_bytes, (uint64_t)access});
}

size_t reach_read(const struct reach *reach, uint64_t address, void *out, size_t size_bytes,
                  size_t page_bytes)
{
    size_t in_page = page_bytes - (size_t)(address % page_bytes);
    size_t wanted = size_bytes < in_page ? size_bytes : in_page;
    if (reach->socket_fd < 0)
        return 0;
    wanted = wanted < HAND_BOUNCE_BYTES ? wanted : HAND_BOUNCE_BYTES;
    int64_t got = bounce(reach, address, wanted);
    if (got == -EFAULT && page_access(reach, address, page_bytes, PROT_READ) == 0) {
        got = bounce(reach, address, wanted);
        (void)page_access(reach, address, page_bytes, PROT_NONE);
    }
    return got > 0 && pread(reach->bounce_fd, out, (size_t)got, 0) == got ? (size_t)got : 0;
}
