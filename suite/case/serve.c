/* SPDX-License-Identifier: MIT */
/*
 * serve.c: executes one program on one subject, watched by a supervisor: see serve.h.
 *
 * Everything that it knows comes over the socket, everything that it sees goes back over it, and it
 * stands still until each message is answered (see protocol.h). libc only.
 */
#include "suite/case/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "suite/case/hand.h"
#include "suite/case/protocol.h"
#include "suite/case/registers.h"

#define START_BYTES_MAX (sizeof(struct case_start) + 65536)

/* What the supervisor looks for to see that it reads this process and no other. */
static volatile uint64_t marker = CASE_MARKER;
/* Vector registers as the subject left them. */
static struct registers registers;

struct runner {
    const struct case_surroundings *around;
    int pool_fd, core_folder_fd;
    uint64_t pool_next; /* where the next secret begins */
    uint32_t fills;     /* so many were planted before this operation */
    bool in_crowd;      /* thousands of secrets: told of at the end of the operation, in one */
    bool in_storm;      /* and by several threads */
    const struct case_start *start;
    const uint8_t *program_bytes;
    const uint8_t *filter_bytes;
    struct model_subject subject;
    struct model_program program;
};

/* ---- talking to the supervisor: raw, async-signal-safe, no heap ---- */

static uint64_t tell_with(const struct case_message *message, const int *fds, size_t fds_count)
{
    struct iovec vector = {.iov_base = (void *)(uintptr_t)message, .iov_len = sizeof *message};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * CASE_FDS_MAX)];
    } control;
    struct msghdr envelope = {.msg_iov = &vector, .msg_iovlen = 1};
    if (fds_count > 0) {
        memset(&control, 0, sizeof control);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int) * fds_count);
        memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * fds_count);
        envelope.msg_control = &control;
        envelope.msg_controllen = CMSG_SPACE(sizeof(int) * fds_count);
    }
    struct case_reply reply;
    ssize_t moved;
    do
        moved = sendmsg(CASE_SOCKET_FD, &envelope, MSG_NOSIGNAL);
    while (moved < 0 && errno == EINTR);
    if (moved == (ssize_t)sizeof *message)
        do
            moved = recv(CASE_SOCKET_FD, &reply, sizeof reply, 0);
        while (moved < 0 && errno == EINTR);
    if (moved != (ssize_t)sizeof reply)
        _exit(CASE_EXIT_LOST); /* the subject took our descriptors, or the supervisor is gone */
    return reply.value;
}

static uint64_t tell(const struct case_message *message)
{
    int saved = errno;
    uint64_t value = tell_with(message, NULL, 0);
    errno = saved;
    return value;
}

static uint64_t tell_text(enum case_kind kind, const char *text)
{
    struct case_message message = {.kind = kind};
    (void)snprintf(message.text, sizeof message.text, "%s", text);
    return tell(&message);
}

/* ---- the host that the interpreter sees ---- */

/* One read(2) of the pool straight into the secret's place; no copy on the way. */
static bool pool_read(const struct runner *runner, uint64_t at, void *p, size_t size_bytes)
{
    for (size_t done = 0; done < size_bytes;) {
        size_t offset = (size_t)((at + done) % CASE_POOL_BYTES);
        size_t piece = size_bytes - done;
        if (piece > CASE_POOL_BYTES - offset)
            piece = CASE_POOL_BYTES - offset;
        ssize_t got = syscall(SYS_pread64, runner->pool_fd, (char *)p + done, piece, offset);
        if (got < 0 && errno != EFAULT)
            _exit(CASE_EXIT_LOST); /* the pool is gone: the subject took our descriptors */
        if (got <= 0)
            return false; /* the pointer does not lead to so many bytes */
        done += (size_t)got;
    }
    return true;
}

static bool host_plant(void *arg, uint32_t fill, void *p, size_t size_bytes)
{
    struct runner *runner = arg;
    if (runner->in_storm) /* its secrets are of one size: the number says where each one lies */
        return pool_read(runner,
                         runner->pool_next + (fill - runner->fills - 1) * (uint64_t)size_bytes, p,
                         size_bytes);
    uint64_t at = runner->pool_next;
    size_t since_zero = (size_t)(at % CASE_POOL_BYTES % CASE_ZERO_EVERY);
    if (size_bytes < 8 && !runner->in_crowd && since_zero + size_bytes >= CASE_ZERO_EVERY)
        at += CASE_ZERO_EVERY - since_zero;
    if (!pool_read(runner, at, p, size_bytes))
        return false;
    runner->pool_next = at + size_bytes;
    runner->fills = fill;
    if (runner->in_crowd)
        return true;
    struct case_message message = {.kind = CASE_PLANTED,
                                   .fill = fill,
                                   .address = (uintptr_t)p,
                                   .size_bytes = size_bytes,
                                   .pool_offset = at};
    (void)tell(&message);
    return true;
}

static bool host_matches(void *arg, uint32_t fill, const void *p, size_t size_bytes)
{
    (void)arg;
    struct case_message message = {
        .kind = CASE_CHECK, .fill = fill, .address = (uintptr_t)p, .size_bytes = size_bytes};
    return tell(&message) != 0;
}

static size_t host_match_many(void *arg, const struct shadow_secret *members, size_t count)
{
    (void)arg;
    struct case_message message = {
        .kind = CASE_CROWD, .address = (uintptr_t)members, .size_bytes = count};
    return (size_t)tell(&message);
}

static void host_begin(void *arg, uint32_t op_index, const struct model_operation *operation,
                       const struct model_event *so_far)
{
    struct runner *runner = arg;
    runner->in_crowd = operation->code == MODEL_CROWD;
    runner->in_storm = operation->code == MODEL_STORM;
    struct case_message message = {
        .kind = CASE_BEGIN, .op_index = op_index, .operation = *operation, .event = *so_far};
    (void)tell(&message);
}

static void host_end(void *arg, const struct model_operation *operation,
                     const struct model_event *event)
{
    struct runner *runner = arg;
    if (runner->in_storm && event->slot_fill > runner->fills) {
        runner->pool_next += (event->slot_fill - runner->fills) * event->size_bytes;
        runner->fills = event->slot_fill;
    }
    struct case_message message = {
        .kind = CASE_END,
        .pool_offset = runner->pool_next,
        .ledger_calls = runner->around->ledger_calls != NULL ? runner->around->ledger_calls() : 0,
        .op_index = event->op_index,
        .operation = *operation,
        .event = *event};
    (void)tell(&message);
}

static void host_violated(void *arg, uint32_t op_index, const char *promise_id, const char *detail)
{
    (void)arg;
    struct case_message message = {.kind = CASE_VIOLATED, .op_index = op_index};
    (void)snprintf(message.promise, sizeof message.promise, "%s", promise_id);
    (void)snprintf(message.text, sizeof message.text, "%s", detail);
    (void)tell(&message);
}

static bool host_fail(void *arg, enum model_call call, unsigned nth, int error, bool after, bool on)
{
    (void)arg;
    struct case_message message = {.kind = CASE_FAULT,
                                   .call = (int32_t)call,
                                   .nth = nth,
                                   .error = error,
                                   .after = after,
                                   .on = on};
    return tell(&message) != 0;
}

static void host_in_child(void *arg, uint32_t op_index)
{
    (void)arg;
    struct case_message message = {.kind = CASE_CHILD,
                                   .op_index = op_index,
                                   .address = (uintptr_t)&marker,
                                   .size_bytes = (uint64_t)getpid(),
                                   .fds = {-1, -1, -1, -1, -1, -1, -1, -1}};
    int fds[2] = {open("/proc/self/mem", O_RDONLY | O_CLOEXEC),
                  open("/proc/self/smaps", O_RDONLY | O_CLOEXEC)};
    if (fds[0] >= 0 && fds[1] >= 0) {
        message.fds[CASE_FD_MEM] = 0;
        message.fds[CASE_FD_SMAPS] = 1;
    }
    (void)tell_with(&message, fds, fds[0] >= 0 && fds[1] >= 0 ? 2 : 0);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static void host_returned(void *arg)
{
    const struct runner *runner = arg;
    if ((runner->start->flags & CASE_REGISTERS) != 0)
        (void)registers_save(&registers);
}

static void on_release(void *arg, long call, uintptr_t address, size_t size_bytes)
{
    (void)arg;
    struct case_message message = {
        .kind = CASE_RELEASE, .call = (int32_t)call, .address = address, .size_bytes = size_bytes};
    (void)tell(&message);
}

/* ---- start ---- */

#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(offset))

/* Before the filter proper: what the hand does is not watched, though its thread has the filter too. */
static const struct sock_filter but_the_hand[] = {
    LOAD(offsetof(struct seccomp_data, args[4]) + HAND_MARK_OFFSET),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, HAND_MARK, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};
#define BUT_THE_HAND (sizeof but_the_hand / sizeof *but_the_hand)

/* A program may have had threads before it came to us: all of them are to be watched, the hand's too. A shared
 * object is loaded later, what it starts inherits the filter, and the hand was there before. */
static int filter_install(const struct runner *runner)
{
    static struct sock_filter all[BUT_THE_HAND + START_BYTES_MAX / sizeof(struct sock_filter)];
    bool is_program = runner->around->is_program;
    size_t before = is_program ? BUT_THE_HAND : 0;
    size_t count = runner->start->filter_bytes / sizeof *all;
    struct sock_fprog program = {.len = (unsigned short)(before + count), .filter = all};
    unsigned flags = SECCOMP_FILTER_FLAG_NEW_LISTENER;
    if (count == 0) {
        errno = ENODATA;
        return -1;
    }
    if (is_program)
        flags |= SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
    memcpy(all, but_the_hand, before * sizeof *all);
    memcpy(all + before, runner->filter_bytes, count * sizeof *all);
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

/* Where a descriptor of HELLO comes from; -1: not to be had. */
static int hello_fd(const struct runner *runner, enum case_fd which, const struct hand *hand,
                    struct case_message *message)
{
    static const char *const paths[] = {[CASE_FD_MEM] = "/proc/self/mem",
                                        [CASE_FD_SMAPS] = "/proc/self/smaps",
                                        [CASE_FD_STATUS] = "/proc/self/status",
                                        [CASE_FD_PAGEMAP] = "/proc/self/pagemap"};
    int fd = -1;
    switch (which) {
    case CASE_FD_LISTENER:
        fd = filter_install(runner);
        message->listener_errno = fd < 0 ? errno : 0;
        return fd;
    case CASE_FD_HAND:
        return hand->socket_fd;
    case CASE_FD_BOUNCE: /* ours stays open */
        return hand->bounce_fd < 0 ? -1 : fcntl(hand->bounce_fd, F_DUPFD_CLOEXEC, 0);
    default:
        return open(paths[which], O_RDONLY | O_CLOEXEC);
    }
}

/* Opens our own /proc entries, starts the hand, installs the filter, passes all of it over. */
static void hello(const struct runner *runner)
{
    struct case_message message = {
        .kind = CASE_HELLO,
        .address = (uintptr_t)&marker,
        .event = {.address = (uintptr_t)&registers, .size_bytes = registers_save(&registers)}};
    struct hand hand = {.socket_fd = -1, .bounce_fd = -1};
    int fds[CASE_FDS_MAX];
    size_t count = 0;
    if ((runner->start->flags & CASE_HAND) != 0 && !hand_start(&hand))
        hand.socket_fd = -1;
    for (unsigned i = 0; i < CASE_FDS_MAX; i++)
        message.fds[i] = -1;
    for (enum case_fd which = CASE_FD_MEM; which <= CASE_FD_BOUNCE; which++) {
        int fd = hello_fd(runner, which, &hand, &message);
        message.fds[which] = fd < 0 ? -1 : (int32_t)count;
        if (fd >= 0)
            fds[count++] = fd;
    }
    message.bounce_fd = hand.bounce_fd;
    if (message.fds[CASE_FD_LISTENER] < 0 && runner->around->ledger_watch != NULL)
        runner->around->ledger_watch(on_release, NULL); /* in the filter's place */
    (void)tell_with(&message, fds, count);
    for (size_t i = 0; i < count; i++)
        (void)close(fds[i]);
}

/* Is descriptor 3 such a socket as the supervisor leaves? Somebody else's is not to be read from. */
static bool socket_is_there(void)
{
    int domain = 0, type = 0;
    socklen_t length = sizeof domain;
    return getsockopt(CASE_SOCKET_FD, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 &&
           getsockopt(CASE_SOCKET_FD, SOL_SOCKET, SO_TYPE, &type, &length) == 0 &&
           domain == AF_UNIX && type == SOCK_SEQPACKET;
}

enum started { STARTED, STARTED_BY_HAND, STARTED_BY_ANOTHER_VERSION };

static enum started start_receive(struct runner *runner, char *bytes, size_t bytes_max)
{
    struct iovec vector = {.iov_base = bytes, .iov_len = bytes_max};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * CASE_START_FDS_MAX)];
    } control;
    struct msghdr envelope = {.msg_iov = &vector,
                              .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = sizeof control};
    ssize_t got = socket_is_there() ? recvmsg(CASE_SOCKET_FD, &envelope, MSG_CMSG_CLOEXEC) : -1;
    const struct cmsghdr *rights = CMSG_FIRSTHDR(&envelope);
    runner->start = (const struct case_start *)(const void *)bytes;
    if (got < (ssize_t)sizeof runner->start->magic + (ssize_t)sizeof runner->start->version ||
        runner->start->magic != CASE_MAGIC)
        return STARTED_BY_HAND;
    if (runner->start->version != CASE_VERSION || got < (ssize_t)sizeof *runner->start ||
        rights == NULL)
        return STARTED_BY_ANOTHER_VERSION;
    int fds[CASE_START_FDS_MAX] = {-1, -1};
    memcpy(fds, CMSG_DATA(rights), rights->cmsg_len - CMSG_LEN(0));
    runner->pool_fd = fds[0];
    runner->core_folder_fd = fds[1];
    runner->program_bytes = (const uint8_t *)bytes + sizeof *runner->start;
    runner->filter_bytes = runner->program_bytes + runner->start->program_bytes;
    runner->pool_next = runner->start->pool_start;
    return (size_t)got == sizeof *runner->start + runner->start->program_bytes +
                              runner->start->filter_bytes
               ? STARTED
               : STARTED_BY_ANOTHER_VERSION;
}

static void describe(const struct secret_alloc *variant)
{
    struct case_message message = {.kind = CASE_VARIANT};
    struct case_variant description = {.flags = variant->flags,
                                       .entries = model_subject_entries(variant),
                                       .min_align = variant->min_align};
    (void)snprintf(description.name, sizeof description.name, "%s", variant->name);
    (void)snprintf(description.library, sizeof description.library, "%s", variant->library);
    (void)snprintf(description.version, sizeof description.version, "%s", variant->version);
    for (; variant->claims != NULL && variant->claims[description.claims_count] != NULL &&
           description.claims_count < MODEL_CLAIMS_MAX;
         description.claims_count++)
        (void)snprintf(description.claims[description.claims_count], MODEL_CLAIM_BYTES, "%s",
                       variant->claims[description.claims_count]);
    /* The description follows its announcement as a message of its own. */
    (void)tell(&message);
    if (send(CASE_SOCKET_FD, &description, sizeof description, MSG_NOSIGNAL) < 0)
        _exit(CASE_EXIT_LOST);
}

/* With all that is alive. Not before now is the working directory another than the subject's. */
static void dump_core(const struct runner *runner)
{
    if (runner->core_folder_fd < 0 || fchdir(runner->core_folder_fd) != 0)
        return;
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGABRT, SIG_DFL);
    (void)raise(SIGABRT);
}

static void execute(struct runner *runner)
{
    char error[sizeof((struct case_message *)0)->text];
    const struct secret_alloc *variant =
        model_subject_find(&runner->subject, runner->start->variant);
    if (variant == NULL) {
        (void)tell_text(CASE_REFUSED, "has no variant of that name");
        return;
    }
    (void)tell_text(CASE_LOADED, "");
    const struct model_host host = {.arg = runner,
                                    .page_bytes = (size_t)sysconf(_SC_PAGESIZE),
                                    .plant = host_plant,
                                    .matches = host_matches,
                                    .begin = host_begin,
                                    .end = host_end,
                                    .violated = host_violated,
                                    .fail = host_fail,
                                    .in_child = host_in_child,
                                    .returned = host_returned,
                                    .match_many = host_match_many,
                                    .parallel = true};
    model_program_decode(&runner->program, runner->program_bytes, runner->start->program_bytes);
    if (!model_interpret(&runner->program, variant, &host, error, sizeof error))
        (void)tell_text(CASE_FAILED, error);
    else if (tell_text(CASE_FINISHED, "") != 0)
        dump_core(runner);
}

/* All that this process was started for. */
static void serve(struct runner *runner)
{
    char error[sizeof((struct case_message *)0)->text];
    if (!runner->around->load(runner->around->arg, runner->start->path, &runner->subject, error,
                              sizeof error)) {
        (void)tell_text(CASE_REFUSED, error);
    } else if ((runner->start->flags & CASE_DESCRIBE) != 0) {
        for (size_t i = 0; i < runner->subject.count; i++)
            describe(&runner->subject.variants[i]);
        (void)tell_text(CASE_FINISHED, "");
    } else {
        execute(runner);
    }
}

void case_serve(const struct case_surroundings *around)
{
    static struct runner runner;
    static _Alignas(struct case_start) char start_bytes[START_BYTES_MAX];
    runner.around = around;
    switch (start_receive(&runner, start_bytes, sizeof start_bytes)) {
    case STARTED:
        hello(&runner);
        serve(&runner);
        _exit(0); /* no code of the subject's runs after the last look */
    case STARTED_BY_ANOTHER_VERSION:
        _exit(CASE_EXIT_VERSION);
    case STARTED_BY_HAND:
        break;
    }
}
