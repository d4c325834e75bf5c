/* SPDX-License-Identifier: MIT */
/*
 * under_filter.c: runs a program under a seccomp filter, as containers and sandboxes do:
 *
 *     under_filter listener PROGRAM ARGUMENTS...   one that notifies: the kernel allows no second listener
 *     under_filter refuse CALL,... PROGRAM ...     those system calls fail with EPERM
 */
#include <errno.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Some call that nobody makes: what counts is that there is a listener. Nobody answers it. */
static bool listener_install(scmp_filter_ctx context)
{
    return seccomp_rule_add(context, SCMP_ACT_NOTIFY, SCMP_SYS(uselib), 0) == 0 &&
           seccomp_load(context) == 0 && dup2(seccomp_notify_fd(context), 30) == 30;
}

static bool refuse(scmp_filter_ctx context, char *calls)
{
    for (char *name = strtok(calls, ","); name != NULL; name = strtok(NULL, ",")) {
        int call = seccomp_syscall_resolve_name(name);
        if (call == __NR_SCMP_ERROR ||
            seccomp_rule_add(context, SCMP_ACT_ERRNO(EPERM), call, 0) != 0)
            return false;
    }
    return seccomp_load(context) == 0;
}

int main(int count, char **words)
{
    bool listen = count > 2 && strcmp(words[1], "listener") == 0;
    bool refusing = count > 3 && strcmp(words[1], "refuse") == 0;
    scmp_filter_ctx context = seccomp_init(SCMP_ACT_ALLOW);
    if (context == NULL || (!listen && !refusing) ||
        !(listen ? listener_install(context) : refuse(context, words[2]))) {
        (void)fputs("under_filter: the filter cannot be installed\n", stderr);
        return 2;
    }
    char **program = words + (listen ? 2 : 3);
    (void)execvp(program[0], program);
    perror(program[0]);
    return 2;
}
