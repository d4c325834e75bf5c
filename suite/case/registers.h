/* SPDX-License-Identifier: MIT */
/*
 * registers.h: the vector registers as they are now, in memory, for the supervisor to look at.
 *
 * A memcpy leaves up to 128 bytes of what it copied in them. Only what can hold 8 consecutive secret
 * bytes for long is taken: general registers have been used again by the time that we run.
 */
#ifndef SUITE_CASE_REGISTERS_H
#define SUITE_CASE_REGISTERS_H

#include <stddef.h>
#include <stdint.h>

#define REGISTERS_BYTES 4096u

struct registers {
    _Alignas(64) uint8_t bytes[REGISTERS_BYTES];
};

#if defined(__x86_64__)
#include <cpuid.h>

/* Intel SDM 1, 13: x87, SSE, AVX and AVX-512 state take less than 2,700 bytes. */
static inline size_t registers_save(struct registers *registers)
{
    static int has_xsave = -1;
    if (has_xsave < 0) {
        unsigned a, b, c = 0, d;
        has_xsave = __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_OSXSAVE) != 0;
    }
    if (!has_xsave)
        return 0;
    __asm__ volatile("xsave64 %0" : "+m"(*registers) : "a"(0xe7), "d"(0) : "memory");
    return sizeof registers->bytes;
}
#elif defined(__aarch64__)
static inline size_t registers_save(struct registers *registers)
{
#define PAIR(a, b, at) "stp q" #a ", q" #b ", [%0, #" #at "]\n\t"
    __asm__ volatile(PAIR(0, 1, 0) PAIR(2, 3, 32) PAIR(4, 5, 64) PAIR(6, 7, 96) PAIR(8, 9, 128)
                         PAIR(10, 11, 160) PAIR(12, 13, 192) PAIR(14, 15, 224) PAIR(16, 17, 256)
                             PAIR(18, 19, 288) PAIR(20, 21, 320) PAIR(22, 23, 352) PAIR(24, 25, 384)
                                 PAIR(26, 27, 416) PAIR(28, 29, 448) PAIR(30, 31, 480)
                     :
                     : "r"(registers->bytes)
                     : "memory");
#undef PAIR
    return sizeof registers->bytes;
}
#else
static inline size_t registers_save(struct registers *registers)
{
    (void)registers;
    return 0;
}
#endif

#endif
