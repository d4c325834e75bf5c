/* SPDX-License-Identifier: MIT */
/*
 * trap.h: catches the signals of a crash on a stack of its own, and either goes back to a probe
 * that expected it or hands it to whoever has to report a death.
 *
 *     a thread's stack            its trap_frame
 *     trap_enter() ------------>  bottom   where to go when the subject is dead
 *       subject code
 *       trap_probe() ---------->  probe    where to go when one access is refused; while probing
 */
#ifndef MODEL_TRAP_H
#define MODEL_TRAP_H

#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRAP_SIGNALS 6u
#define TRAP_STACK_BYTES ((size_t)64 << 10)

/* A fault as the kernel told it. */
struct trap_fault {
    int signal, code;
    uintptr_t address;
};

/* Told of a crash that no probe expected: true if the thread is to go on at its bottom, false if
 * the signal is to take the course that it took before. Runs in the signal handler. */
typedef bool trap_death(void *arg, const struct trap_fault *fault);

/* What one thread needs in order to survive a crash. Lives on its stack, below the subject. */
struct trap_frame {
    sigjmp_buf bottom, probe;
    volatile sig_atomic_t probing;
    struct trap_fault fault; /* the last one caught */
};

/* Handlers as they were before. */
struct trap_handlers {
    struct sigaction old[TRAP_SIGNALS];
};

/* Installs the handlers of all signals for which a death is reported. */
void trap_install(trap_death *death, void *arg);
void trap_restore(void);
/* From now on (true) let the handlers and stacks stay when they would be taken down, so that a
 * process that runs many programs pays for them once. False takes them down. */
void trap_keep(bool keep);
/* Takes SIGSEGV and SIGBUS back from a subject that has meanwhile set handlers of its own, for the
 * time of one probe; trap_release gives them back. */
void trap_claim(struct trap_handlers *handlers);
void trap_release(const struct trap_handlers *handlers);
/* In a forked child: let every signal do what it does by default, so that the parent sees it. */
void trap_default(void);

/* Gives this thread its one frame and an alternate stack (always the same). Follow it with sigsetjmp(frame->bottom, 0). */
void trap_enter(struct trap_frame *frame, void *stack);
void trap_leave(void);
/* Has this thread a frame to go back to? */
bool trap_has_frame(void);
/* Goes to the bottom of this thread's frame. */
_Noreturn void trap_fall(void);

/* Calls access(arg); true if it came back, false if it trapped (frame->fault says how). */
bool trap_probe(struct trap_frame *frame, void (*access)(void *arg), void *arg);

#endif
