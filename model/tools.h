/* SPDX-License-Identifier: MIT */
/*
 * tools.h: whatever in model/ differs by compiler or sanitizer.
 */
#ifndef MODEL_TOOLS_H
#define MODEL_TOOLS_H

/* Functions that read or write on purpose where they may not: no sanitizer is to judge them, and
 * inlining into a judged function would bring the judgement back. */
#if defined(__clang__)
#define MODEL_UNCHECKED \
    __attribute__((noinline, no_sanitize("address", "memory", "thread", "undefined")))
#elif defined(__GNUC__)
#define MODEL_UNCHECKED                                                     \
    __attribute__((noinline, no_sanitize("address"), no_sanitize("thread"), \
                   no_sanitize("undefined")))
#else
#define MODEL_UNCHECKED
#endif

#define MODEL_PRINTF(format_index, first_index) \
    __attribute__((format(printf, format_index, first_index)))

#endif
