/*
 * annotate.h - the one header that knows the tools. Each macro is nothing where its tool is absent.
 *
 *   AddressSanitizer, MemorySanitizer   found by the compiler's own macros
 *   Valgrind                            compile with -DREF_ALLOC_VALGRIND=1, needs Valgrind's headers
 *
 *   of bytes
 *   ANNOTATE_OPEN      ref-alloc itself is going to read or write these bytes. None of them is a living secret's,
 *                      unless it is about to be wiped: memcheck and MSan take them for defined from here on
 *   ANNOTATE_CLOSED    nobody may touch these bytes
 *   ANNOTATE_FILLED    the kernel wrote these bytes, unseen by the tool
 *
 *   of secrets         open bytes, whose life the tool follows; `heap` is memcheck's name for the pool
 *   ANNOTATE_BORN      a secret: its bytes are zero, and nobody has written them yet, so reading them is a mistake
 *   ANNOTATE_RESIZED   it lies elsewhere now, or is longer: its kept bytes are what they were
 *   ANNOTATE_ZEROED    its caller has asked for zeros, and may read them
 *   ANNOTATE_FREED     it was
 *   ANNOTATE_HEAP_OPENED, ANNOTATE_HEAP_CLOSED   before the first of them, and when all are wiped
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

#define ANNOTATE_NOTHING(start, size_bytes) ((void)(start), (void)(size_bytes))

#if defined(ANNOTATE_ASAN)
#include <sanitizer/asan_interface.h>
#define ANNOTATE_OPEN(start, size_bytes) ASAN_UNPOISON_MEMORY_REGION(start, size_bytes)
#define ANNOTATE_CLOSED(start, size_bytes) ASAN_POISON_MEMORY_REGION(start, size_bytes)
#elif defined(ANNOTATE_MSAN)
#include <sanitizer/msan_interface.h>
#define ANNOTATE_OPEN(start, size_bytes) __msan_unpoison(start, size_bytes)
#define ANNOTATE_CLOSED(start, size_bytes) __msan_poison(start, size_bytes)
#define ANNOTATE_FILLED(start, size_bytes) __msan_unpoison(start, size_bytes)
#define ANNOTATE_ZEROED(start, size_bytes) __msan_unpoison(start, size_bytes)
#define ANNOTATE_BORN(heap, start, size_bytes) __msan_allocated_memory(start, size_bytes)
#define ANNOTATE_RESIZED(heap, before, after, old_bytes, new_bytes)                  \
    ((new_bytes) > (old_bytes)                                                       \
         ? __msan_allocated_memory((after) + (old_bytes), (new_bytes) - (old_bytes)) \
         : (void)0)
#elif defined(REF_ALLOC_VALGRIND)
#include <valgrind/helgrind.h>
#include <valgrind/memcheck.h>
#define ANNOTATE_OPEN(start, size_bytes) ((void)VALGRIND_MAKE_MEM_DEFINED(start, size_bytes))
#define ANNOTATE_CLOSED(start, size_bytes)                   \
    do {                                                     \
        (void)VALGRIND_MAKE_MEM_NOACCESS(start, size_bytes); \
        VALGRIND_HG_DISABLE_CHECKING(start, size_bytes);     \
    } while (0)
#define ANNOTATE_FILLED(start, size_bytes) ANNOTATE_OPEN(start, size_bytes)
#define ANNOTATE_ZEROED(start, size_bytes) ANNOTATE_OPEN(start, size_bytes)
/* Memcheck ends the program at a second pool of one name: that of a heap which was unmapped without being closed. */
#define ANNOTATE_HEAP_OPENED(heap)           \
    do {                                     \
        if (VALGRIND_MEMPOOL_EXISTS(heap))   \
            VALGRIND_DESTROY_MEMPOOL(heap);  \
        VALGRIND_CREATE_MEMPOOL(heap, 0, 0); \
    } while (0)
#define ANNOTATE_HEAP_CLOSED(heap) VALGRIND_DESTROY_MEMPOOL(heap)
/* Helgrind looks away from what was mapped inaccessible until it is told to look: at living secrets only, for it
 * does not know our locks, which order the rest. */
#define ANNOTATE_BORN(heap, start, size_bytes)           \
    do {                                                 \
        VALGRIND_MEMPOOL_ALLOC(heap, start, size_bytes); \
        VALGRIND_HG_ENABLE_CHECKING(start, size_bytes);  \
    } while (0)
#define ANNOTATE_FREED(heap, start) VALGRIND_MEMPOOL_FREE(heap, start)
#define ANNOTATE_RESIZED(heap, before, after, old_bytes, new_bytes)                              \
    do {                                                                                         \
        VALGRIND_MEMPOOL_CHANGE(heap, before, after, new_bytes);                                 \
        if ((new_bytes) > (old_bytes))                                                           \
            (void)VALGRIND_MAKE_MEM_UNDEFINED((after) + (old_bytes), (new_bytes) - (old_bytes)); \
    } while (0)
#endif

#ifndef ANNOTATE_OPEN
#define ANNOTATE_OPEN ANNOTATE_NOTHING
#define ANNOTATE_CLOSED ANNOTATE_NOTHING
#endif
#ifndef ANNOTATE_FILLED
#define ANNOTATE_FILLED ANNOTATE_NOTHING
#define ANNOTATE_ZEROED ANNOTATE_NOTHING
#endif
#ifndef ANNOTATE_HEAP_OPENED
#define ANNOTATE_HEAP_OPENED(heap) ((void)(heap))
#define ANNOTATE_HEAP_CLOSED(heap) ((void)(heap))
#define ANNOTATE_FREED(heap, start) ((void)(heap), (void)(start))
#endif
#ifndef ANNOTATE_BORN
#define ANNOTATE_BORN(heap, start, size_bytes) ((void)(heap), (void)(start), (void)(size_bytes))
#define ANNOTATE_RESIZED(heap, before, after, old_bytes, new_bytes) \
    ((void)(heap), (void)(before), (void)(after), (void)(old_bytes), (void)(new_bytes))
#endif

#endif
