/* SPDX-License-Identifier: MIT */
/*
 * oddity.c: a subject that is a program, with one oddity: the one that it is called by. Copies of it under
 * other names are other programs.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contract/strongroom_case.h"
#include "suite/case/protocol.h"
#include "suite/tests/fixtures/fixture.h"

static void close_everything(void)
{
    for (int fd = 0; fd < 1024; fd++)
        (void)close(fd);
}

/* ---- before the call ---- */

static void exits(void)
{
    _exit(0);
}

static void hangs(void)
{
    for (;;)
        (void)pause();
}

/* The call is made in a child, and waited for. */
static void in_a_child(void)
{
    if (fork() == 0)
        return;
    (void)wait(NULL);
    _exit(0);
}

/* Behaves while it is asked what it is, and is gone when it comes to cases. */
static void exits_in_cases(void)
{
    struct case_start start = {0};
    if (recv(CASE_SOCKET_FD, &start, sizeof start, MSG_PEEK) > 0 &&
        (start.flags & CASE_DESCRIBE) == 0)
        _exit(0);
}

static void is_loud(void)
{
    (void)puts("noise\n{\"not\": \"yours\"}");
    (void)fputs("noise\n", stderr);
    (void)fflush(NULL);
}

/* What the supervisor of another version would make of us, and we of it. */
static void speaks_otherwise(void)
{
    struct case_start start = {.magic = CASE_MAGIC, .version = CASE_VERSION + 1};
    int sockets[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets) == 0 &&
        send(sockets[0], &start, sizeof start, 0) > 0)
        (void)dup2(sockets[1], CASE_SOCKET_FD);
}

/* Nothing of the subject's own, but locked: no call for close or locked_bytes to forget it. */
static void locks_a_page(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED || mlock(page, 4096) != 0)
        _exit(1);
}

/* ---- in an entry ---- */

static void *crash_alloc(void *context, size_t size_bytes)
{
    (void)context;
    (void)size_bytes;
    abort();
}

static void *exit_alloc(void *context, size_t size_bytes)
{
    (void)context;
    (void)size_bytes;
    _exit(0);
}

static void *hang_alloc(void *context, size_t size_bytes)
{
    (void)context;
    (void)size_bytes;
    hangs();
    return NULL;
}

static void *close_alloc(void *context, size_t size_bytes)
{
    close_everything();
    return fixture_alloc(context, size_bytes);
}

/* ---- pages, given back by a thread that was there before the call ---- */

static size_t whole_pages(size_t size_bytes)
{
    return size_bytes > SIZE_MAX / 2 ? 0 : (size_bytes + (size_bytes == 0) + 4095) / 4096 * 4096;
}

static void *pages_alloc(void *context, size_t size_bytes)
{
    size_t bytes = whole_pages(size_bytes);
    (void)context;
    if (bytes == 0) {
        errno = ENOMEM;
        return NULL;
    }
    void *secret = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (secret != MAP_FAILED && mlock(secret, bytes) == 0)
        return secret;
    if (secret != MAP_FAILED)
        (void)munmap(secret, bytes);
    errno = ENOMEM;
    return NULL;
}

/* Neither locked nor wiped, and gone: who does not see it go sees nothing. */
static void *unlocked_alloc(void *context, size_t size_bytes)
{
    size_t bytes = whole_pages(size_bytes);
    (void)context;
    void *secret =
        bytes == 0 ? MAP_FAILED
                   : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (secret != MAP_FAILED)
        return secret;
    errno = ENOMEM;
    return NULL;
}

static void unwiped_free(void *context, void *secret, size_t size_bytes)
{
    (void)context;
    (void)munmap(secret, whole_pages(size_bytes));
}

static size_t locked_bytes;

static void *counted_alloc(void *context, size_t size_bytes)
{
    void *secret = pages_alloc(context, size_bytes);
    locked_bytes += secret != NULL ? whole_pages(size_bytes) : 0;
    return secret;
}

static void counted_free(void *context, void *secret, size_t size_bytes)
{
    (void)context;
    explicit_bzero(secret, whole_pages(size_bytes));
    (void)munmap(secret, whole_pages(size_bytes));
    locked_bytes -= whole_pages(size_bytes);
}

static size_t counted(void *context)
{
    (void)context;
    return locked_bytes;
}

static struct {
    _Atomic(void *) secret; /* NULL: nothing to do */
    size_t bytes;
} helper;

static void *help(void *arg)
{
    for (;;) {
        void *secret = atomic_load(&helper.secret);
        if (secret != NULL) {
            (void)munmap(secret, helper.bytes); /* and nobody has wiped it */
            atomic_store(&helper.secret, NULL);
        }
        (void)usleep(20);
    }
    return arg;
}

static void has_a_helper(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, help, NULL) != 0)
        _exit(1);
}

static void helper_free(void *context, void *secret, size_t size_bytes)
{
    (void)context;
    helper.bytes = whole_pages(size_bytes);
    atomic_store(&helper.secret, secret);
    while (atomic_load(&helper.secret) != NULL)
        (void)usleep(20);
}

/* ---- which one ---- */

static const struct oddity {
    const char *name;
    void (*before)(void);
    void *(*alloc)(void *context, size_t size_bytes);
    void (*free)(void *context, void *secret, size_t size_bytes);
    size_t (*locked_bytes)(void *context);
    uint32_t abi_major; /* 0: the present one */
} oddities[] = {
    {.name = "exits", .before = exits},
    {.name = "aborts", .before = abort},
    {.name = "hangs", .before = hangs},
    {.name = "closes-all", .before = close_everything},
    {.name = "in-a-child", .before = in_a_child},
    {.name = "speaks-otherwise", .before = speaks_otherwise},
    {.name = "other-abi", .abi_major = 2},
    {.name = "exits-in-cases", .before = exits_in_cases},
    {.name = "loud", .before = is_loud},
    {.name = "locks-before",
     .before = locks_a_page,
     .alloc = counted_alloc,
     .free = counted_free,
     .locked_bytes = counted},
    {.name = "counts", .alloc = counted_alloc, .free = counted_free, .locked_bytes = counted},
    {.name = "crash-alloc", .alloc = crash_alloc},
    {.name = "exit-alloc", .alloc = exit_alloc},
    {.name = "hang-alloc", .alloc = hang_alloc},
    {.name = "close-alloc", .alloc = close_alloc},
    {.name = "drops", .alloc = unlocked_alloc, .free = unwiped_free},
    {.name = "helper", .before = has_a_helper, .alloc = pages_alloc, .free = helper_free},
};

int main(int count, char **words)
{
    const char *slash = count > 0 ? strrchr(words[0], '/') : NULL;
    const struct oddity *oddity = oddities;
    while (slash != NULL && strcmp(oddity->name, slash + 1) != 0)
        if (++oddity == oddities + sizeof oddities / sizeof *oddities)
            return 1;
    struct secret_alloc table = {.size = sizeof table,
                                 .name = oddity->name,
                                 .version = "0",
                                 .library = oddity->name,
                                 .open = fixture_open,
                                 .alloc = oddity->alloc != NULL ? oddity->alloc : fixture_alloc,
                                 .free = oddity->free != NULL ? oddity->free : fixture_free,
                                 .locked_bytes = oddity->locked_bytes};
    const struct secret_alloc *const tables[] = {&table, NULL};
    if (oddity->before != NULL)
        oddity->before();
    strongroom_case(oddity->abi_major != 0 ? oddity->abi_major : STRONGROOM_ABI_MAJOR, tables);
}
