/*
 * wrapped.h - every system call of ref-alloc, for a test to look at and to answer. Linked with -Wl,--wrap=syscall: os.c
 * makes all its calls through syscall(2), so none goes by.
 */
#ifndef WRAPPED_H
#define WRAPPED_H

#include "support.h"

#include <sys/syscall.h>
#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif
#ifdef SYS_mmap2
#define MAP_CALL SYS_mmap2
#else
#define MAP_CALL SYS_mmap
#endif

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

/* The test's: the result of a call, with errno; it makes the call, by really(), or does not. */
static long answer(long number, const long *arguments);

static inline long really(long number, const long *arguments)
{
    return __real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3],
                          arguments[4], arguments[5]);
}

UNSANITIZED long __wrap_syscall(long number, ...)
{
    long arguments[6];
    va_list list;
    va_start(list, number);
    for (size_t i = 0; i < 6; i++)
        arguments[i] = va_arg(list, long);
    va_end(list);
    return answer(number, arguments);
}

#endif
