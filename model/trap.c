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
    trap_death *death; /* NULL: no program is running */
    void *arg;
    bool installed, keep;
    struct trap_handlers before;
} traps;
static _Thread_local struct trap_frame *frame_here;
static _Thread_local bool stack_ours;      /* this thread's alternate stack is one of ours ... */
static _Thread_local stack_t stack_before; /* ... and was this one before */

static void signal_default(int number)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigaction(number, &action, NULL);
}

/* Gives the signal to whoever had it before us. */
static void put_back(int number)
{
    for (unsigned i = 0; i < TRAP_SIGNALS; i++)
        if (signals[i] == number)
            sigaction(number, &traps.before.old[i], NULL);
    traps.installed = false;
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
    if (traps.death != NULL && traps.death(traps.arg, &fault) && frame != NULL)
        jump(frame->bottom, context);
    /* Not ours: a fault happens again on return; a signal that was sent has to be sent again. */
    put_back(number);
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

void trap_install(trap_death *death, void *arg)
{
    traps.arg = arg;
    traps.death = death;
    if (!traps.installed)
        install(&traps.before, TRAP_SIGNALS);
    traps.installed = true;
}

static void uninstall(void)
{
    if (traps.installed)
        restore(&traps.before, TRAP_SIGNALS);
    traps.installed = false;
}

void trap_restore(void)
{
    traps.death = NULL;
    if (!traps.keep)
        uninstall();
}

/* Gives this thread's alternate stack back. */
static void stack_restore(void)
{
    if (stack_ours)
        sigaltstack(&stack_before, NULL);
    stack_ours = false;
}

void trap_keep(bool keep)
{
    traps.keep = keep;
    if (keep || traps.death != NULL)
        return;
    uninstall();
    stack_restore();
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
    traps.death = NULL;
    frame_here = NULL;
    for (unsigned i = 0; i < TRAP_SIGNALS; i++)
        signal_default(signals[i]);
}

void trap_enter(struct trap_frame *frame, void *stack)
{
    stack_t alternate = {.ss_sp = stack, .ss_size = TRAP_STACK_BYTES};
    frame->probing = 0;
    memset(&frame->fault, 0, sizeof frame->fault);
    if (!stack_ours)
        stack_ours = sigaltstack(&alternate, &stack_before) == 0;
    frame_here = frame;
}

void trap_leave(void)
{
    frame_here = NULL;
    if (!traps.keep)
        stack_restore();
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
