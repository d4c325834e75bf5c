/* SPDX-License-Identifier: MIT */
/*
 * raw.h: system calls without libc.
 *
 * libc's wrappers, `syscall` included, are interposed by the ledger, and sanitizers turn some of
 * them into nothing. What the harness itself does must neither be counted as the subject's doing
 * nor be undone by a tool, so it goes straight to the kernel. Results are the kernel's: a value, or
 * minus an errno.
 */
#ifndef MODEL_RAW_H
#define MODEL_RAW_H

#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* The ledger's `syscall` passes six arguments on, whatever the call has: MSan is not to mind. */
#ifdef __clang__
#define RAW_UNCHECKED __attribute__((no_sanitize("memory")))
#else
#define RAW_UNCHECKED
#endif

#if defined(__x86_64__)
RAW_UNCHECKED static inline long raw_call6(long number, long a, long b, long c, long d, long e,
                                           long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
#elif defined(__i386__)
RAW_UNCHECKED static inline long raw_call6(long number, long a, long b, long c, long d, long e,
                                           long f)
{
    long result;
    /* The sixth argument travels in ebp, which the compiler may be using as the frame pointer. */
    __asm__ volatile("pushl %[f]\n\tpushl %%ebp\n\tmovl 4(%%esp), %%ebp\n\t"
                     "int $0x80\n\tpopl %%ebp\n\taddl $4, %%esp"
                     : "=a"(result)
                     : "a"(number), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e), [f] "g"(f)
                     : "memory", "cc");
    return result;
}
#elif defined(__aarch64__)
RAW_UNCHECKED static inline long raw_call6(long number, long a, long b, long c, long d, long e,
                                           long f)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory", "cc");
    return x0;
}
#else
#error "raw system calls are written for x86-64, i386 and aarch64"
#endif

static inline bool raw_failed(long result)
{
    return (unsigned long)result > -4096UL;
}

#define raw_call0(number) raw_call6((number), 0, 0, 0, 0, 0, 0)
#define raw_call1(number, a) raw_call6((number), (long)(a), 0, 0, 0, 0, 0)
#define raw_call2(number, a, b) raw_call6((number), (long)(a), (long)(b), 0, 0, 0, 0)
#define raw_call3(number, a, b, c) raw_call6((number), (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define raw_call4(number, a, b, c, d) \
    raw_call6((number), (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)

/* Fresh private memory, zeroed, that counts nothing until it is touched. */
static inline long raw_map_anonymous(unsigned long size_bytes)
{
#ifdef SYS_mmap2
    long number = SYS_mmap2;
#else
    long number = SYS_mmap;
#endif
    return raw_call6(number, 0, (long)size_bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

#endif
