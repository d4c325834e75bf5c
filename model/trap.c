/* SPDX-License-Identifier: MIT */
/*
 * trap.c: the signal handlers behind trap.h.
 *
 * A sigsetjmp that saves the signal mask costs a system call each time, so ours save none; whoever
 * jumps out of a handler puts back the mask of the moment of the fault, which is in the context.
 * (SA_NODEFER alone is not enough: TSan runs every handler with all signals blocked.)
 */
#include "trap.h"

#include <stdatomic.h>
#include <string.h>
#include <ucontext.h>

static const int signals[TRAP_SIGNALS] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE, SIGTRAP};
#define SIGNALS_OF_ACCESS 2u /* the first ones of them */

/* Signal handlers have no argument of their own: what they need has to be global. */
static struct {
    trap_death *death;
    void *arg;
} reporter;
static _Thread_local struct trap_frame *frame_here;

static void signal_default(int number)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigaction(number, &action, NULL);
}

/* Leaves the handler for a frame's landing place. */
static _Noreturn void jump(sigjmp_buf landing, const void *context)
{
    sigprocmask(SIG_SETMASK, &((const ucontext_t *)context)->uc_sigmask, NULL);
    siglongjmp(landing, 1);
}

static void handle(int number, siginfo_t *info, void *context)
{
    struct trap_frame *frame = frame_here;
    struct trap_fault fault = {
        .signal = number, .code = info->si_code, .address = (uintptr_t)info->si_addr};
    if (number != SIGSEGV && number != SIGBUS && number != SIGILL && number != SIGFPE)
        fault.address = 0; /* si_addr is then another field of a union */
    if (frame != NULL && frame->probing) {
        frame->probing = 0;
        frame->fault = fault;
        jump(frame->probe, context);
    }
    /* A crash while the death is being reported must not be caught again. */
    signal_default(number);
    if (reporter.death != NULL && reporter.death(reporter.arg, &fault) && frame != NULL)
        jump(frame->bottom, context);
    /* A fault happens again on return and kills; a signal that was sent has to be sent again. */
    if (info->si_code <= 0)
        raise(number);
}

static struct sigaction handler(void)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    action.sa_sigaction = handle;
    sigemptyset(&action.sa_mask);
    return action;
}

static void install(struct trap_handlers *handlers, unsigned count)
{
    struct sigaction action = handler();
    for (unsigned i = 0; i < count; i++)
        sigaction(signals[i], &action, &handlers->old[i]);
}

static void restore(const struct trap_handlers *handlers, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        sigaction(signals[i], &handlers->old[i], NULL);
}

void trap_install(struct trap_handlers *handlers, trap_death *death, void *arg)
{
    reporter.death = death;
    reporter.arg = arg;
    install(handlers, TRAP_SIGNALS);
}

void trap_restore(const struct trap_handlers *handlers)
{
    restore(handlers, TRAP_SIGNALS);
    reporter.death = NULL;
}

void trap_claim(struct trap_handlers *handlers)
{
    install(handlers, SIGNALS_OF_ACCESS);
}
void trap_release(const struct trap_handlers *handlers)
{
    restore(handlers, SIGNALS_OF_ACCESS);
}

void trap_default(void)
{
    reporter.death = NULL;
    frame_here = NULL;
    for (unsigned i = 0; i < TRAP_SIGNALS; i++)
        signal_default(signals[i]);
}

void trap_enter(struct trap_frame *frame, void *stack)
{
    stack_t alternate = {.ss_sp = stack, .ss_size = TRAP_STACK_BYTES};
    frame->probing = 0;
    frame->outer = frame_here;
    memset(&frame->fault, 0, sizeof frame->fault);
    sigaltstack(&alternate, &frame->old_stack);
    frame_here = frame;
}

void trap_leave(struct trap_frame *frame)
{
    frame_here = frame->outer;
    sigaltstack(&frame->old_stack, NULL);
}

bool trap_has_frame(void)
{
    return frame_here != NULL;
}

_Noreturn void trap_fall(void)
{
    siglongjmp(frame_here->bottom, 1);
}

bool trap_probe(struct trap_frame *frame, void (*access)(void *arg), void *arg)
{
    if (sigsetjmp(frame->probe, 0) != 0)
        return false;
    /* The fences keep the compiler from moving the access out of the guarded stretch. */
    frame->probing = 1;
    atomic_signal_fence(memory_order_seq_cst);
    access(arg);
    atomic_signal_fence(memory_order_seq_cst);
    frame->probing = 0;
    return true;
}
