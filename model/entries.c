/* SPDX-License-Identifier: MIT */
/*
 * entries.c: operations that are one call of the subject, and those on its surroundings.
 */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "machine.h"
#include "raw.h"

/* ------------------------------------------------------------------------------ surroundings */

/* As the kernel's prlimit64 has it on every architecture. */
struct limit64 {
    uint64_t soft, hard;
};

void machine_limit(struct machine *m)
{
    struct limit64 limit;
    uint64_t wanted = m->event.size_bytes;
    long result = raw_call4(SYS_prlimit64, 0, RLIMIT_MEMLOCK, 0, &limit);
    if (!raw_failed(result)) {
        limit.soft = wanted < limit.hard ? wanted : limit.hard;
        result = raw_call4(SYS_prlimit64, 0, RLIMIT_MEMLOCK, &limit, 0);
        m->event.size_bytes = limit.soft;
    }
    if (raw_failed(result))
        machine_refused(m, (int)-result);
}

void machine_fail(struct machine *m)
{
    const struct model_operation *op = m->operation;
    if (!m->host->fail(m->host->arg, (enum model_call)op->arg, op->slot,
                       op->size.value & MODEL_FAIL_ERRNO, (op->size.value & MODEL_FAIL_AFTER) != 0,
                       (op->size.value & MODEL_FAIL_ON) != 0))
        machine_skipped(m);
}

void machine_heal(struct machine *m)
{
    if (!m->host->fail(m->host->arg, MODEL_CALL_LOCK, 0, 0, false, false))
        machine_skipped(m);
}

/* The turn itself passes after the operation, in machine_run. */
void machine_baton(struct machine *m)
{
    (void)m;
}

/* ------------------------------------------------------------------------------ open and close */

static void message_copy(char *to, size_t to_bytes, const char *from)
{
    size_t i = 0;
    for (; from != NULL && from[i] != '\0' && i + 1 < to_bytes; i++)
        to[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
    to[i] = '\0';
}

/* Handed to the subject as secret_config.fatal. A subject may keep it for longer than this machine
 * lives, so it asks for the machine that is alive now instead of trusting its argument. */
static void fatal(void *arg, const char *message)
{
    struct machine *m = machine_current();
    (void)arg;
    if (m != NULL && m->in_operation && !m->in_child) {
        message_copy(m->event.message, sizeof m->event.message, message);
        if (storm_has_thread())
            storm_fall(machine_died);
        machine_died(m);
        if (trap_has_frame())
            trap_fall();
    }
    /* A child, or a thread of the subject's own: there is nowhere to go back to. */
    trap_default();
    raise(SIGABRT);
}

void machine_open(struct machine *m)
{
    struct secret_config config = {
        .size = sizeof config, .lock_budget_bytes = (size_t)m->event.size_bytes, .fatal = fatal};
    int error = m->variant->open(&config, &m->context);
    m->open = error == 0;
    if (error != 0)
        machine_refused(m, error);
}

void machine_close(struct machine *m)
{
    int error = m->variant->close(m->context);
    m->open = false;
    if (error != 0)
        machine_refused(m, error);
}

/* ------------------------------------------------------------------------------ one secret */

/* Takes what an allocating entry returned into the event. */
static void allocated(struct machine *m, const void *p)
{
    if (p == NULL) {
        machine_refused(m, errno);
        return;
    }
    m->event.address = (uintptr_t)p;
    m->event.usable_bytes =
        m->variant->usable != NULL ? m->variant->usable(m->context, p) : m->event.size_bytes;
}

void machine_alloc(struct machine *m)
{
    errno = 0;
    allocated(m, m->variant->alloc(m->context, (size_t)m->event.size_bytes));
}

void machine_alloc_aligned(struct machine *m)
{
    size_t align_bytes = (size_t)1 << m->operation->arg;
    errno = 0;
    allocated(m, m->variant->alloc_aligned(m->context, align_bytes, (size_t)m->event.size_bytes));
}

void machine_free(struct machine *m)
{
    m->variant->free(m->context, (void *)(uintptr_t)m->event.address, (size_t)m->event.size_bytes);
}

void machine_resize(struct machine *m)
{
    errno = 0;
    allocated(m, m->variant->resize(m->context, (void *)(uintptr_t)m->event.old_address,
                                    (size_t)m->event.old_size_bytes, (size_t)m->event.size_bytes));
}

void machine_protect(struct machine *m)
{
    int error =
        m->variant->protect(m->context, (void *)(uintptr_t)m->event.address, m->operation->arg);
    if (error != 0)
        machine_refused(m, error);
}
