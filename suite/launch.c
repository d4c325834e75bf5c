/* SPDX-License-Identifier: MIT */
/* launch.c: fork, drop, exec. */
#include "suite/launch.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "suite/case/protocol.h"
#include "suite/object.h"

#define NOBODY 65534u
#define LAUNCH_EXIT 96 /* the child's exit status when it cannot get as far as exec */
#define LAUNCH_WORDS_MAX 64u
#define MEMLOCK_DEFAULT_BYTES ((rlim_t)8 << 20)

/* Does test say yes of this file to user nobody? fsuid is a thread's own (setfsuid(2)), and changing it
 * also takes CAP_DAC_OVERRIDE out of force, so trying tells. */
static bool nobody_may(bool (*test)(const char *path), const char *path)
{
    gid_t old_gid = (gid_t)setfsgid(NOBODY);
    uid_t old_uid = (uid_t)setfsuid(NOBODY);
    bool may = test(path);
    (void)setfsuid(old_uid);
    (void)setfsgid(old_gid);
    return may;
}

static bool opens(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        (void)close(fd);
    return fd >= 0;
}

static bool executes(const char *path)
{
    return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0;
}

static bool nobody_reads(const char *path)
{
    return nobody_may(opens, path);
}

/* The program, and what it needs in order to be executed. */
static bool nobody_executes(const char *path)
{
    char interpreter[PATH_MAX];
    return nobody_may(executes, path) &&
           (!object_interpreter(path, interpreter) || nobody_may(executes, interpreter));
}

/* In the child: give up every capability but perhaps one, and root where that can be. */
static bool drop_privileges(const struct launch *launch, bool become_nobody)
{
    capng_clear(CAPNG_SELECT_ALL);
    if (launch->keep_ipc_lock &&
        capng_update(CAPNG_ADD,
                     CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_INHERITABLE | CAPNG_BOUNDING_SET |
                         CAPNG_AMBIENT,
                     CAP_IPC_LOCK) != 0)
        return false;
    if (become_nobody &&
        capng_change_id((int)NOBODY, (int)NOBODY, CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING) != 0)
        return false;
    if (!become_nobody) /* the bounding set can be cleared by root only: best effort */
        (void)capng_apply(CAPNG_SELECT_BOUNDS);
    if (capng_apply(CAPNG_SELECT_CAPS) != 0)
        return false;
    (void)capng_apply(CAPNG_SELECT_AMBIENT);
    return true;
}

static bool set_limits(bool may_dump)
{
    struct rlimit core = {0, 0}, memlock;
    if (may_dump)
        core.rlim_cur = core.rlim_max = RLIM_INFINITY;
    if (setrlimit(RLIMIT_CORE, &core) != 0 || getrlimit(RLIMIT_MEMLOCK, &memlock) != 0)
        return false;
    if (memlock.rlim_cur > MEMLOCK_DEFAULT_BYTES || memlock.rlim_cur < memlock.rlim_max)
        memlock.rlim_cur =
            memlock.rlim_max < MEMLOCK_DEFAULT_BYTES ? memlock.rlim_max : MEMLOCK_DEFAULT_BYTES;
    return setrlimit(RLIMIT_MEMLOCK, &memlock) == 0;
}

static bool quiet(bool verbose)
{
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    return null_fd >= 0 && dup2(null_fd, STDIN_FILENO) >= 0 && dup2(null_fd, STDOUT_FILENO) >= 0 &&
           (verbose || dup2(null_fd, STDERR_FILENO) >= 0);
}

static void signals_reset(void)
{
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
}

static void tell_failure(const struct launch *launch, bool confined, int socket_fd)
{
    int error = errno;
    struct case_message message = {.kind = CASE_FAILED};
    (void)snprintf(message.text, sizeof message.text, "%s%s: %s",
                   launch->is_program ? "" : "strongroom-case ",
                   confined ? "cannot be executed" : "cannot be confined", strerror(error));
    (void)send(socket_fd, &message, sizeof message, MSG_NOSIGNAL);
}

/* By descriptor: nobody may not be able to walk the path. A program and a command that runs it need a name. */
static void execute(const struct launch *launch, int case_fd)
{
    char *const alone[] = {(char *)(uintptr_t) "strongroom-case", NULL};
    char *words[LAUNCH_WORDS_MAX], *rest = launch->under == NULL ? NULL : strdup(launch->under);
    size_t count = 0;
    for (char *word; (word = strsep(&rest, " ")) != NULL && count < LAUNCH_WORDS_MAX - 2;)
        if (*word != '\0')
            words[count++] = word;
    words[count] = (char *)(uintptr_t)launch->case_path;
    words[count + 1] = NULL;
    if (count > 0)
        (void)execvp(words[0], words);
    else if (launch->is_program) /* execvp would give a text to the shell */
        (void)execv(words[0], words);
    else
        (void)syscall(SYS_execveat, case_fd, "", alone, environ, AT_EMPTY_PATH);
}

_Noreturn static void child(const struct launch *launch, int socket_fd, int case_fd,
                            bool become_nobody, pid_t parent)
{
    (void)setsid();
    signals_reset();
    if (launch->cpus != NULL)
        (void)sched_setaffinity(0, sizeof *launch->cpus, launch->cpus);
    bool good = quiet(launch->verbose) && set_limits(launch->may_dump) &&
                (launch->drop_nothing || drop_privileges(launch, become_nobody)) &&
                prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0 && getppid() == parent;
    /* dup2 onto itself would leave close-on-exec set */
    if (good && socket_fd == CASE_SOCKET_FD)
        good = fcntl(socket_fd, F_SETFD, 0) == 0;
    else if (good)
        good = dup2(socket_fd, CASE_SOCKET_FD) == CASE_SOCKET_FD;
    if (good)
        execute(launch, case_fd);
    tell_failure(launch, good, socket_fd);
    _exit(LAUNCH_EXIT);
}

bool launch(const struct launch *launch, struct launched *launched)
{
    int sockets[2];
    int case_fd = open(launch->case_path, O_RDONLY | O_CLOEXEC);
    if (case_fd < 0)
        return false;
    /* Not on 3: the child's dup2 must not fall on the program it is about to exec. */
    int moved_fd = fcntl(case_fd, F_DUPFD_CLOEXEC, 10);
    (void)close(case_fd);
    if (moved_fd < 0)
        return false;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0) {
        (void)close(moved_fd);
        return false;
    }
    bool become_nobody = geteuid() == 0 && !launch->drop_nothing &&
                         capng_have_capability(CAPNG_EFFECTIVE, CAP_SETUID) &&
                         capng_have_capability(CAPNG_EFFECTIVE, CAP_SETGID) &&
                         nobody_reads(launch->subject_path) &&
                         (!launch->is_program || nobody_executes(launch->subject_path)) &&
                         (launch->under == NULL || nobody_reads(launch->case_path));
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        child(launch, sockets[1], moved_fd, become_nobody, parent);
    int saved = errno;
    (void)close(sockets[1]);
    (void)close(moved_fd);
    if (pid > 0)
        *launched = (struct launched){.pid = pid,
                                      .as_nobody = become_nobody,
                                      .pidfd = (int)syscall(SYS_pidfd_open, pid, 0),
                                      .socket_fd = sockets[0]};
    else
        (void)close(sockets[0]);
    errno = saved;
    return pid > 0;
}
