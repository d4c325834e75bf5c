/*
 * annotate.h - the one header that knows the tools. Each macro is nothing where its tool is absent.
 *
 *   AddressSanitizer, MemorySanitizer   found by the compiler's own macros
 *   Valgrind                            compile with -DREF_ALLOC_VALGRIND=1, needs <valgrind/memcheck.h>
 *
 *   ANNOTATE_OPEN     ref-alloc itself is going to read or write these bytes
 *   ANNOTATE_SECRET   these bytes belong to the caller from here on, and are defined (zero)
 *   ANNOTATE_CLOSED   nobody may touch these bytes
 *   ANNOTATE_FILLED   the kernel wrote these bytes, unseen by the tool
 */
#ifndef ANNOTATE_H
#define ANNOTATE_H

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define ANNOTATE_ASAN 1
#endif
#if __has_feature(memory_sanitizer)
#define ANNOTATE_MSAN 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define ANNOTATE_ASAN 1
#endif

#if defined(ANNOTATE_ASAN)
#include <sanitizer/asan_interface.h>
#define ANNOTATE_OPEN(start, size_bytes) ASAN_UNPOISON_MEMORY_REGION(start, size_bytes)
#define ANNOTATE_SECRET(start, size_bytes) ASAN_UNPOISON_MEMORY_REGION(start, size_bytes)
#define ANNOTATE_CLOSED(start, size_bytes) ASAN_POISON_MEMORY_REGION(start, size_bytes)
#define ANNOTATE_FILLED(start, size_bytes) ((void)(start), (void)(size_bytes))
#elif defined(ANNOTATE_MSAN)
#include <sanitizer/msan_interface.h>
#define ANNOTATE_OPEN(start, size_bytes) __msan_unpoison(start, size_bytes)
#define ANNOTATE_SECRET(start, size_bytes) __msan_unpoison(start, size_bytes)
#define ANNOTATE_CLOSED(start, size_bytes) ((void)(start), (void)(size_bytes))
#define ANNOTATE_FILLED(start, size_bytes) __msan_unpoison(start, size_bytes)
#elif defined(REF_ALLOC_VALGRIND)
#include <valgrind/memcheck.h>
#define ANNOTATE_OPEN(start, size_bytes) ((void)VALGRIND_MAKE_MEM_DEFINED(start, size_bytes))
#define ANNOTATE_SECRET(start, size_bytes) ((void)VALGRIND_MAKE_MEM_DEFINED(start, size_bytes))
#define ANNOTATE_CLOSED(start, size_bytes) ((void)VALGRIND_MAKE_MEM_NOACCESS(start, size_bytes))
#define ANNOTATE_FILLED(start, size_bytes) ((void)VALGRIND_MAKE_MEM_DEFINED(start, size_bytes))
#else
#define ANNOTATE_OPEN(start, size_bytes) ((void)(start), (void)(size_bytes))
#define ANNOTATE_SECRET(start, size_bytes) ((void)(start), (void)(size_bytes))
#define ANNOTATE_CLOSED(start, size_bytes) ((void)(start), (void)(size_bytes))
#define ANNOTATE_FILLED(start, size_bytes) ((void)(start), (void)(size_bytes))
#endif

#endif
