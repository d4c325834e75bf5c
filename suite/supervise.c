/* SPDX-License-Identifier: MIT */
/* supervise.c: the life of one case: launch, start, answer, end. */
#include "suite/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "suite/launch.h"
#include "suite/look.h"
#include "suite/observe/core.h"
#include "suite/watch.h"

bool variant_claims(const struct variant *variant, const char *promise_id)
{
    for (size_t i = 0; i < variant->is.claims_count; i++)
        if (strcmp(variant->is.claims[i], promise_id) == 0)
            return true;
    return false;
}

static uint64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void failed(struct case_run *run, const char *what)
{
    run->ending = ENDED_FAILED;
    (void)snprintf(run->text, sizeof run->text, "%s: %s", what, strerror(errno));
}

/* ---- start ---- */

static bool program_has(const struct model_program *program, enum model_code code)
{
    for (size_t i = 0; program != NULL && i < program->count; i++)
        if (program->operations[i].code == code)
            return true;
    return false;
}

static const struct notify_filter *filter_for(const struct host *host,
                                              const struct case_order *order)
{
    if ((host->denied & (OBSERVE_RELEASES | OBSERVE_FAULTS)) != 0 || host->no_listener[0] != '\0')
        return NULL; /* as where the kernel refuses it: the ledger stands in for releases */
    if (program_has(order->program, MODEL_FAIL))
        return &host->filters[NOTIFY_FAULTS];
    return &host->filters[(order->observers & OBSERVE_RELEASES) != 0 ? NOTIFY_RELEASES
                                                                     : NOTIFY_SIGNALS];
}

/* A program that has calls fail after they took effect, and memory that only the case can read. */
static bool needs_hand(const struct case_order *order)
{
    for (size_t i = 0; order->program != NULL && i < order->program->count; i++) {
        const struct model_operation *operation = &order->program->operations[i];
        if (operation->code == MODEL_FAIL && (operation->size.value & MODEL_FAIL_AFTER) != 0)
            return true;
    }
    return order->program != NULL && variant_claims(order->variant, "unreadable");
}

/* -1: no core is to be dumped. */
static int core_folder_open(const struct watch *watch)
{
    return watch->core_folder[0] == '\0'
               ? -1
               : open(watch->core_folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static bool start_send(struct watch *watch, const struct case_order *order)
{
    struct case_start start = {.magic = CASE_MAGIC,
                               .version = CASE_VERSION,
                               .flags = order->program == NULL ? CASE_DESCRIBE : 0};
    start.flags |= needs_hand(order) ? CASE_HAND : 0;
    start.flags |= (order->observers & OBSERVE_PROCESS) != 0 ? CASE_REGISTERS : 0;
    uint8_t program[MODEL_RECORD_BYTES * (MODEL_OPERATIONS_MAX + 1)];
    const struct notify_filter *filter = filter_for(watch->host, order);
    (void)snprintf(start.path, sizeof start.path, "%s", order->variant->path);
    (void)snprintf(start.variant, sizeof start.variant, "%s", order->variant->is.name);
    if (order->program != NULL)
        start.program_bytes =
            (uint32_t)model_program_encode(order->program, program, sizeof program);
    start.filter_bytes = filter != NULL ? (uint32_t)filter->size_bytes : 0;
    start.pool_start = watch->pool_start;

    struct iovec parts[] = {
        {&start, sizeof start},
        {program, start.program_bytes},
        {filter != NULL ? (void *)(uintptr_t)filter->bytes : program, start.filter_bytes}};
    int fds[CASE_START_FDS_MAX] = {watch->host->secrets.pool_fd, core_folder_open(watch)};
    size_t fds_bytes = fds[1] >= 0 ? sizeof fds : sizeof *fds;
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof fds)];
    } control = {.header = {.cmsg_level = SOL_SOCKET,
                            .cmsg_type = SCM_RIGHTS,
                            .cmsg_len = CMSG_LEN(fds_bytes)}};
    memcpy(CMSG_DATA(&control.header), fds, fds_bytes);
    struct msghdr envelope = {.msg_iov = parts,
                              .msg_iovlen = sizeof parts / sizeof *parts,
                              .msg_control = &control,
                              .msg_controllen = CMSG_SPACE(fds_bytes)};
    bool sent = sendmsg(watch->socket_fd, &envelope, MSG_NOSIGNAL) > 0;
    int error = errno;
    if (fds[1] >= 0)
        (void)close(fds[1]);
    errno = error;
    return sent;
}

/* ---- messages ---- */

static void variant_receive(struct watch *watch)
{
    struct case_run *run = watch->run;
    struct case_variant *more = realloc(run->variants, (run->variants_count + 1) * sizeof *more);
    if (more == NULL)
        abort();
    run->variants = more;
    if (recv(watch->socket_fd, &more[run->variants_count], sizeof *more, 0) ==
        (ssize_t)sizeof *more)
        run->variants_count++;
}

/* Takes one message and answers it; false: the other end is gone. */
static bool message_serve(struct watch *watch)
{
    struct case_message message;
    struct iovec vector = {.iov_base = &message, .iov_len = sizeof message};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * CASE_FDS_MAX)];
    } control;
    struct msghdr envelope = {.msg_iov = &vector,
                              .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = sizeof control};
    int fds[CASE_FDS_MAX] = {-1, -1, -1, -1, -1, -1, -1, -1};
    ssize_t got = recvmsg(watch->socket_fd, &envelope, MSG_CMSG_CLOEXEC);
    /* ECONNRESET, told once: it went without reading all of ours; what it said is still to be read. */
    if (got < 0 && (errno == EINTR || errno == ECONNRESET))
        return true;
    if (got != (ssize_t)sizeof message)
        return false;
    const struct cmsghdr *rights = CMSG_FIRSTHDR(&envelope);
    if (rights != NULL && rights->cmsg_type == SCM_RIGHTS)
        memcpy(fds, CMSG_DATA(rights), rights->cmsg_len - CMSG_LEN(0));
    struct case_reply reply = {.value = watch_message(watch, &message, fds)};
    if (send(watch->socket_fd, &reply, sizeof reply, MSG_NOSIGNAL) < 0)
        return false;
    if (message.kind == CASE_VARIANT)
        variant_receive(watch);
    return true;
}

enum { POLL_SOCKET, POLL_LISTENER, POLL_PROCESS, POLLS };

/* Serves the case until its process is gone, or the time is up: false. */
static bool serve(struct watch *watch, int pidfd, uint64_t deadline_ms)
{
    bool connected = true;
    for (;;) {
        uint64_t now = now_ms();
        if (now >= deadline_ms)
            return false;
        struct pollfd polls[POLLS] = {
            [POLL_SOCKET] = {.fd = connected ? watch->socket_fd : -1, .events = POLLIN},
            [POLL_LISTENER] = {.fd = watch->listener_fd, .events = POLLIN},
            [POLL_PROCESS] = {.fd = pidfd, .events = POLLIN}};
        if (poll(polls, POLLS, (int)(deadline_ms - now)) < 0 && errno != EINTR)
            return false;
        /* Messages first: what was said before the end was said. */
        if (connected && (polls[POLL_SOCKET].revents & (POLLIN | POLLHUP)) != 0)
            connected = message_serve(watch);
        else if ((polls[POLL_LISTENER].revents & POLLIN) != 0)
            watch_notification(watch);
        else if ((polls[POLL_PROCESS].revents & POLLIN) != 0)
            return true;
        else if ((polls[POLL_LISTENER].revents & POLLHUP) != 0) {
            (void)close(watch->listener_fd);
            watch->listener_fd = -1;
        }
    }
}

/* ---- end ---- */

static void operation_under_way(const struct watch *watch, char *out, size_t out_bytes)
{
    if (watch->loaded)
        (void)model_operation_print(&watch->operation, out, out_bytes);
    else
        (void)snprintf(out, out_bytes, "loading");
}

static void conclude(struct watch *watch, int status, bool in_time)
{
    struct case_run *run = watch->run;
    operation_under_way(watch, run->operation, sizeof run->operation);
    if (run->ending == ENDED_REFUSED || run->ending == ENDED_FAILED)
        return;
    if (!in_time) {
        run->ending = ENDED_HUNG;
    } else if (watch->finished) {
        run->ending = ENDED_FINISHED;
    } else if (WIFSIGNALED(status)) {
        run->ending = ENDED_KILLED;
        run->code = WTERMSIG(status);
    } else if (WEXITSTATUS(status) == CASE_EXIT_LOST) {
        run->ending = ENDED_LOST;
        run->code = CASE_EXIT_LOST;
    } else if (WEXITSTATUS(status) == CASE_EXIT_VERSION && !run->greeted) {
        run->ending = ENDED_REFUSED;
        (void)snprintf(run->text, sizeof run->text,
                       "was built with the libstrongroom-case of another version: build it anew");
    } else {
        run->ending = ENDED_EXITED;
        run->code = WEXITSTATUS(status);
    }
}

void supervise(const struct host *host, const struct case_order *order, struct case_run *run)
{
    *run = (struct case_run){.variant = order->variant,
                             .label = order->label,
                             .program = order->program,
                             .page_bytes = host->page_bytes};
    struct watch watch = {.host = host,
                          .wanted = order->observers,
                          .run = run,
                          .listener_fd = -1,
                          .target = {.memory = {.mem_fd = -1,
                                                .pagemap_fd = -1,
                                                .reach = {.socket_fd = -1, .bounce_fd = -1},
                                                .page_bytes = host->page_bytes},
                                     .smaps_fd = -1,
                                     .status_fd = -1,
                                     .page_bytes = host->page_bytes}};
    uint32_t start = 0;
    if (getrandom(&start, sizeof start, 0) < 0) {
        failed(run, "no random bytes");
        return;
    }
    watch.pool_start = watch.pool_next = start % CASE_POOL_BYTES;

    bool privileged = order->program != NULL && (order->program->flags & MODEL_KEEP_IPC_LOCK) != 0;
    if ((order->observers & OBSERVE_CORES & ~host->denied) != 0 && host->no_cores[0] == '\0')
        (void)core_folder_make(watch.core_folder);
    struct launched launched;
    bool is_program = order->variant->is_program;
    struct launch what = {.case_path = is_program ? order->variant->path : host->case_path,
                          .is_program = is_program,
                          .under = host->under,
                          .subject_path = order->variant->path,
                          .may_dump = watch.core_folder[0] != '\0',
                          /* Threads that are to meet each other need more than our one. */
                          .cpus = program_has(order->program, MODEL_STORM) ? &host->cpus : NULL,
                          .keep_ipc_lock = privileged && (host->blind & OBSERVE_IPC_LOCK) == 0,
                          .drop_nothing = !privileged && (host->blind & OBSERVE_LIMIT) != 0,
                          .verbose = order->verbose};
    if (!launch(&what, &launched)) {
        failed(run, "cannot start strongroom-case");
        if (watch.core_folder[0] != '\0')
            core_folder_remove(watch.core_folder);
        return;
    }
    run->as_nobody = launched.as_nobody;
    watch.target.pid = launched.pid;
    watch.socket_fd = launched.socket_fd;
    /* One that could not be executed may be gone by now; what it said of that is still there. */
    bool in_time = (!start_send(&watch, order) && errno != EPIPE) ||
                   serve(&watch, launched.pidfd, now_ms() + order->timeout_ms);
    int status = 0;
    if (!in_time)
        (void)kill(launched.pid, SIGKILL);
    (void)kill(-launched.pid, SIGKILL); /* its group, before the number can be another's */
    while (waitpid(launched.pid, &status, 0) < 0 && errno == EINTR)
        ;
    (void)close(launched.pidfd);
    conclude(&watch, status, in_time);
    if (watch.core_folder[0] != '\0') {
        if (watch.finished && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT)
            look_record_core(&watch);
        core_folder_remove(watch.core_folder);
    }
    watch_close(&watch);
}

void case_run_free(struct case_run *run)
{
    free(run->seen);
    free(run->variants);
}
