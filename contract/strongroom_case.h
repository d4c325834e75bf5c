/* SPDX-License-Identifier: MIT */
/*
 * strongroom_case.h: a subject that is a program, for whatever cannot be, or does not want to be, a
 * shared object. It links libstrongroom-case and calls one function:
 *
 *     int main(void)
 *     {
 *         strongroom_case(STRONGROOM_ABI_MAJOR, tables);
 *     }
 *
 * `strongroom verify ./program` then starts it once for each case, as it is, without arguments: without
 * capabilities, under a limit on locked memory, standard input and output at /dev/null. The library
 * executes the case on the tables and ends the process. docs/bring-your-allocator.md shows whole
 * programs in C, Go, Rust and Python.
 *
 * Ground rules, beside those of strongroom.h
 *  - Call it in the process that was started (a script that starts another program does so by exec),
 *    from any thread, soon: what a program does before is done for each case. No secret may be handed
 *    out before. A language's run-time must be ready for calls from threads that it does not know (Go:
 *    call it from main, not from init).
 *  - Descriptor 3 belongs to strongroom. Leave it open until the call.
 *  - Threads may run by then. They are watched too, and what they lock or unlock while the library
 *    calls an entry counts as that entry's doing.
 *  - The working directory and the environment are those of `strongroom`.
 *  - Signals that misuse brings about (SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE, SIGTRAP) are handled
 *    by the library from the call on.
 */
#ifndef STRONGROOM_CASE_H
#define STRONGROOM_CASE_H

#include "strongroom.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define STRONGROOM_NORETURN __attribute__((noreturn))
#else
#define STRONGROOM_NORETURN
#endif

/* Executes the case for which strongroom started this process, then ends it with _exit: no destructor
 * runs, nothing buffered is written. Run by hand it prints one line that says so and exits with
 * status 2. subjects: as strongroom_subjects() returns them; abi_major: STRONGROOM_ABI_MAJOR as the
 * tables were compiled with. What is wrong with a table is said by `strongroom verify`. */
STRONGROOM_EXPORT STRONGROOM_NORETURN void
strongroom_case(uint32_t abi_major, const struct secret_alloc *const *subjects);

#ifdef __cplusplus
}
#endif

#endif
