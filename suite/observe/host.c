/* SPDX-License-Identifier: MIT */
/* host.c: what can be observed on this machine. */
#include "suite/observe/host.h"

#include "suite/observe/core.h"

#include <cap-ng.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* A set of observers from the environment: "locks,memory". */
static bool knob_read(const char *name, unsigned *set, char *error, size_t error_bytes)
{
    const char *value = getenv(name);
    for (*set = 0; value != NULL && *value != '\0'; value += *value == ',') {
        size_t length = strcspn(value, ",");
        unsigned bit = 0;
        while (bit < OBSERVERS && (strlen(observer_name(1u << bit)) != length ||
                                   strncmp(observer_name(1u << bit), value, length) != 0))
            bit++;
        if (bit == OBSERVERS) {
            (void)snprintf(error, error_bytes, "%s: no observer is called '%.*s'", name,
                           (int)length, value);
            return false;
        }
        *set |= 1u << bit;
        value += length;
    }
    return true;
}

static bool directory_find(struct host *host, char *error, size_t error_bytes)
{
    ssize_t length = readlink("/proc/self/exe", host->directory, sizeof host->directory - 1);
    char *slash = NULL;
    if (length > 0) {
        host->directory[length] = '\0';
        slash = strrchr(host->directory, '/');
    }
    if (slash == NULL) {
        (void)snprintf(error, error_bytes,
                       "cannot find its own files: /proc/self/exe: %s (is /proc mounted?)",
                       strerror(errno));
        return false;
    }
    *slash = '\0';
    int needed =
        snprintf(host->case_path, sizeof host->case_path, "%s/strongroom-case", host->directory);
    if (needed >= (int)sizeof host->case_path || access(host->case_path, X_OK) != 0) {
        (void)snprintf(error, error_bytes, "strongroom-case is missing beside strongroom: %s",
                       strerror(errno));
        return false;
    }
    return true;
}

bool host_open(struct host *host, char *error, size_t error_bytes)
{
    *host = (struct host){.root = geteuid() == 0,
                          .page_bytes = (size_t)sysconf(_SC_PAGESIZE),
                          .under = getenv("STRONGROOM_UNDER"),
                          .ipc_lock = capng_have_capability(CAPNG_EFFECTIVE, CAP_IPC_LOCK) != 0};
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    if (sched_getaffinity(0, sizeof host->cpus, &host->cpus) != 0)
        CPU_ZERO(&host->cpus);
    const char *blind = getenv("STRONGROOM_BLIND");
    host->model_is_deaf = blind != NULL && strcmp(blind, "model") == 0;
    if (!directory_find(host, error, error_bytes) ||
        !knob_read("STRONGROOM_DENY", &host->denied, error, error_bytes) ||
        (!host->model_is_deaf && !knob_read("STRONGROOM_BLIND", &host->blind, error, error_bytes)))
        return false;
    for (unsigned i = 0; i < NOTIFY_WATCHES && host->no_listener[0] == '\0'; i++)
        (void)notify_filter_make(&host->filters[i], i, host->no_listener, sizeof host->no_listener);
    if (!secrets_open(&host->secrets)) {
        (void)snprintf(error, error_bytes, "cannot make the pool of secrets: %s", strerror(errno));
        return false;
    }
    (void)core_possible(host->no_cores, sizeof host->no_cores);
    for (unsigned bit = 0; bit < OBSERVERS; bit++)
        if ((host->denied & 1u << bit) != 0)
            host->why_not[bit] = "denied by STRONGROOM_DENY";
    return true;
}

/* Processes that a subject left behind, in a session of their own, have become our children. */
static void leftovers_end(void)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    for (unsigned round = 0; round < 100; round++) {
        char line[4096];
        FILE *file = fopen(path, "re");
        bool any = file != NULL && fgets(line, sizeof line, file) != NULL;
        if (file != NULL)
            (void)fclose(file);
        if (!any)
            return;
        char *end = line;
        for (long pid; (pid = strtol(end, &end, 10)) > 0;)
            (void)kill((pid_t)pid, SIGKILL);
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        (void)usleep(1000);
    }
}

void host_allow_swap(struct host *host)
{
    static struct swap swap;
    if (swap_open(&swap, host->page_bytes, host->no_swap, sizeof host->no_swap))
        host->swap = &swap;
}

void host_close(struct host *host)
{
    if (host->swap != NULL) /* its guardian is a child of ours: not to be ended as a leftover */
        swap_close(host->swap);
    host->swap = NULL;
    leftovers_end();
    secrets_close(&host->secrets);
}

static const char *reason_of(struct host *host, unsigned observer, int listener_errno)
{
    switch (observer) {
    case OBSERVE_FAULTS:
        if (host->no_listener[0] == '\0')
            (void)snprintf(host->no_listener, sizeof host->no_listener,
                           "no seccomp notification: %s", strerror(listener_errno));
        return host->no_listener;
    case OBSERVE_IPC_LOCK:
        return "needs CAP_IPC_LOCK: run as root";
    case OBSERVE_RELEASES:
        return "neither seccomp notification nor memory of the case can be had";
    case OBSERVE_SWAP:
        return host->no_swap[0] != '\0' ? host->no_swap
                                        : "changes the host: ask for it with --allow-swap";
    case OBSERVE_CORES:
        return host->no_cores;
    case OBSERVE_LIMIT:
        return "capabilities cannot be dropped";
    default:
        return "/proc of the case cannot be read";
    }
}

void host_learn(struct host *host, unsigned seen, int listener_errno)
{
    if (!host->ipc_lock)
        seen &= ~(unsigned)OBSERVE_IPC_LOCK;
    for (unsigned bit = 0; bit < OBSERVERS; bit++)
        if ((seen & 1u << bit) == 0 && host->why_not[bit] == NULL)
            host->why_not[bit] = reason_of(host, 1u << bit, listener_errno);
}

void host_refuses(struct host *host, const char *how)
{
    (void)snprintf(host->no_memory, sizeof host->no_memory,
                   "no memory can be locked here (see RLIMIT_MEMLOCK): on the control that must "
                   "pass, %.60s",
                   how);
}

const char *host_lacks(const struct host *host, unsigned observers)
{
    if (host->no_memory[0] != '\0')
        return host->no_memory;
    for (unsigned bit = 0; bit < OBSERVERS; bit++)
        if ((observers & 1u << bit) != 0 && host->why_not[bit] != NULL)
            return host->why_not[bit];
    return NULL;
}
