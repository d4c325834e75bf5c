/* SPDX-License-Identifier: MIT */
/*
 * main.c of strongroom-case: loads one subject and executes one program, watched by a supervisor.
 *
 * `strongroom-case --locks [SUBJECT.so]` only says whether a lock is real in such a process.
 * Otherwise it is started by the supervisor only, without capabilities, in a session of its own, with a socket
 * as descriptor 3. Everything that it knows comes over that socket, everything that it sees goes
 * back over it, and it stands still until each message is answered (see protocol.h). libc only.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "model/ledger.h"
#include "model/subject.h"
#include "suite/case/hand.h"
#include "suite/case/protocol.h"
#include "suite/case/registers.h"

#define START_BYTES_MAX (sizeof(struct case_start) + 65536)

/* What the supervisor looks for to see that it reads this process and no other. */
static volatile uint64_t marker = CASE_MARKER;
/* Vector registers as the subject left them. */
static struct registers registers;

struct runner {
    int pool_fd;
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
    struct case_message message = {.kind = CASE_END,
                                   .pool_offset = runner->pool_next,
                                   .ledger_calls = ledger_counts().calls,
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

static int filter_install(const struct runner *runner)
{
    struct sock_fprog program = {
        .len = (unsigned short)(runner->start->filter_bytes / sizeof(struct sock_filter)),
        .filter = (struct sock_filter *)(uintptr_t)runner->filter_bytes,
    };
    if (program.len == 0) {
        errno = ENODATA;
        return -1;
    }
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
                        &program);
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
    if (message.fds[CASE_FD_LISTENER] < 0) /* the ledger takes the filter's place */
        ledger_watch(on_release, NULL);
    (void)tell_with(&message, fds, count);
    for (size_t i = 0; i < count; i++)
        (void)close(fds[i]);
}

static bool start_receive(struct runner *runner, char *bytes, size_t bytes_max)
{
    struct iovec vector = {.iov_base = bytes, .iov_len = bytes_max};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr envelope = {.msg_iov = &vector,
                              .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = sizeof control};
    ssize_t got = recvmsg(CASE_SOCKET_FD, &envelope, MSG_CMSG_CLOEXEC);
    const struct cmsghdr *rights = CMSG_FIRSTHDR(&envelope);
    if (got < (ssize_t)sizeof *runner->start || rights == NULL)
        return false;
    memcpy(&runner->pool_fd, CMSG_DATA(rights), sizeof runner->pool_fd);
    runner->start = (const struct case_start *)(const void *)bytes;
    runner->program_bytes = (const uint8_t *)bytes + sizeof *runner->start;
    runner->filter_bytes = runner->program_bytes + runner->start->program_bytes;
    runner->pool_next = runner->start->pool_start;
    return (size_t)got ==
           sizeof *runner->start + runner->start->program_bytes + runner->start->filter_bytes;
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

/* With all that is alive. */
static void dump_core(void)
{
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
        dump_core();
}

/* Are locks real in this process, with that subject in it? A tool around us may have made them nothing. */
static int locks_prove(const char *subject_path)
{
    static struct model_subject subject;
    char error[sizeof((struct case_message *)0)->text];
    const char *wrong = NULL;
    if (subject_path != NULL && !model_subject_load(&subject, subject_path, error, sizeof error))
        wrong = error;
    else if (!ledger_can_lock())
        wrong = "a page locked by a raw system call does not show in VmLck (is RLIMIT_MEMLOCK 0?)";
    else if (!ledger_locks_are_real())
        wrong = "mlock() says 0 and VmLck does not rise: whoever calls it locks nothing";
    if (wrong != NULL)
        (void)fprintf(stderr, "strongroom-case: locks are not real here: %s\n", wrong);
    else
        (void)puts("locks are real: by a raw system call and by mlock()");
    return wrong != NULL ? 2 : 0;
}

int main(int argc, char **argv)
{
    static struct runner runner;
    static char start_bytes[START_BYTES_MAX];
    char error[sizeof((struct case_message *)0)->text];

    if (argc > 1 && strcmp(argv[1], "--locks") == 0)
        return locks_prove(argv[2]);
    if (!start_receive(&runner, start_bytes, sizeof start_bytes)) {
        (void)fputs("strongroom-case: started by hand; `strongroom replay` runs one program\n",
                    stderr);
        return 2;
    }
    hello(&runner);
    if (!model_subject_load(&runner.subject, runner.start->path, error, sizeof error)) {
        (void)tell_text(CASE_REFUSED, error);
    } else if ((runner.start->flags & CASE_DESCRIBE) != 0) {
        for (size_t i = 0; i < runner.subject.count; i++)
            describe(&runner.subject.variants[i]);
        (void)tell_text(CASE_FINISHED, "");
    } else {
        execute(&runner);
    }
    _exit(0);
}
