/* support.h - what several of the unit tests need. */
#ifndef SUPPORT_H
#define SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ref_alloc.h"

/* Leaves a child. Under `coverage` what it has run counts, too, which _exit alone would forget. */
#ifdef REF_ALLOC_COVERAGE
void __gcov_dump(void);
#define LEAVE(status)           \
    do {                        \
        int status_ = (status); \
        __gcov_dump();          \
        _exit(status_);         \
    } while (0)
#else
#define LEAVE(status) _exit(status)
#endif

/* For a tool around this program that cannot bear all tests: the one to be left out, or the only one to be made. */
__attribute__((constructor)) static inline void leave_out(void)
{
    if (getenv("REF_ALLOC_TEST_WITHOUT") != NULL)
        cmocka_set_skip_filter(getenv("REF_ALLOC_TEST_WITHOUT"));
    if (getenv("REF_ALLOC_TEST_ONLY") != NULL)
        cmocka_set_test_filter(getenv("REF_ALLOC_TEST_ONLY"));
}

/* Says why where a test after the other would fail without a reason. */
__attribute__((constructor)) static inline void need_locks(void)
{
    enum { LOCKED_BYTES = 2 << 20 }; /* the most that a test locks: 1.5 MiB, seen by trying */
    struct rlimit limit;
    void *probe;

    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur >= LOCKED_BYTES)
        return;
    probe = mmap(NULL, LOCKED_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (probe == MAP_FAILED || mlock2(probe, LOCKED_BYTES, MLOCK_ONFAULT) != 0) { /* no privilege */
        fprintf(
            stderr,
            "RLIMIT_MEMLOCK is %ju KiB and these tests lock up to %d KiB: raise it (ulimit -l)\n",
            (uintmax_t)limit.rlim_cur / 1024, LOCKED_BYTES / 1024);
        exit(EXIT_FAILURE);
    }
    munmap(probe, LOCKED_BYTES);
}

#define PAGE ((size_t)sysconf(_SC_PAGESIZE))

/* For what touches memory on purpose that a tool was told not to let anybody touch. */
#if defined(__clang__)
#define UNSANITIZED __attribute__((noinline, no_sanitize("address", "memory"), unused))
#elif defined(__has_attribute) && __has_attribute(no_sanitize)
#define UNSANITIZED __attribute__((noinline, no_sanitize("address"), unused))
#else
#define UNSANITIZED __attribute__((noinline, unused))
#endif

/* The same for memcheck, which judges whatever runs: between the two it says nothing. */
#ifdef REF_ALLOC_VALGRIND
#include <valgrind/memcheck.h>
#define TOOL_LOOKS_AWAY VALGRIND_DISABLE_ERROR_REPORTING
#define TOOL_LOOKS VALGRIND_ENABLE_ERROR_REPORTING
#define TOOL_TAKES_FOR_WRITTEN(start, size_bytes) \
    ((void)VALGRIND_MAKE_MEM_DEFINED(start, size_bytes))
#else
#define TOOL_LOOKS_AWAY ((void)0)
#define TOOL_LOOKS ((void)0)
#define TOOL_TAKES_FOR_WRITTEN(start, size_bytes) ((void)(start), (void)(size_bytes))
#endif

/* VmLck of this process in bytes, or SIZE_MAX where it can't be read. */
static inline size_t locked_in_kernel(void)
{
    char line[256];
    size_t kib = SIZE_MAX / 1024;
    FILE *status = fopen("/proc/self/status", "r");
    if (status == NULL)
        return SIZE_MAX;
    while (fgets(line, sizeof(line), status) != NULL)
        if (sscanf(line, "VmLck: %zu", &kib) == 1)
            break;
    fclose(status);
    return kib * 1024;
}

/* qemu-user shows no VmLck of the guest. Tests that compare with the kernel then compare nothing. */
static inline bool kernel_tells_locks(void)
{
    size_t bytes = locked_in_kernel();
    return bytes != SIZE_MAX && bytes / 1024 != SIZE_MAX / 1024 &&
           getenv("REF_ALLOC_TEST_NO_VMLCK") == NULL;
}

static inline size_t locked_by(struct ref_alloc_heap *heap)
{
    struct ref_alloc_statistics statistics;
    assert_true(ref_alloc_statistics(heap, &statistics));
    return statistics.locked_bytes;
}

static inline struct ref_alloc_heap *open_heap(struct ref_alloc_config config)
{
    struct ref_alloc_heap *heap = NULL;
    assert_true(ref_alloc_open(&config, &heap));
    assert_non_null(heap);
    return heap;
}

/* The last message that a heap opened with catch_fatal was given, and where to go then. */
static jmp_buf fatal_exit;
static const char *fatal_message;

static inline void catch_fatal(void *arg, const char *message)
{
    (void)arg;
    fatal_message = message;
    longjmp(fatal_exit, 1);
}

enum action { FREE, RESIZE, USABLE_BYTES, PROTECT, ALLOCATE };

static inline void act(enum action action, struct ref_alloc_heap *heap, void *secret,
                       size_t size_bytes)
{
    switch (action) {
    case FREE:
        ref_alloc_free(heap, secret);
        break;
    case RESIZE:
        ref_alloc_resize(heap, secret, size_bytes);
        break;
    case USABLE_BYTES:
        ref_alloc_usable_bytes(heap, secret);
        break;
    case PROTECT:
        ref_alloc_protect(heap, secret, REF_ALLOC_ACCESS_READ);
        break;
    case ALLOCATE:
        ref_alloc_allocate(heap, size_bytes);
        break;
    }
}

/* The message that an action ends in; "" if it just returns. */
static inline const char *fatal_of(enum action action, struct ref_alloc_heap *heap, void *secret,
                                   size_t size_bytes)
{
    fatal_message = "";
    if (setjmp(fatal_exit) == 0)
        act(action, heap, secret, size_bytes);
    return fatal_message;
}

#define assert_fatal(action, heap, secret, size_bytes, expected) \
    assert_string_equal(fatal_of(action, heap, secret, size_bytes), expected)

/* Whether a touch of one byte raises a signal. In a child, so only for memory that a child may touch. */
static sigjmp_buf touch_exit;

static inline void touched(int signal_number)
{
    (void)signal_number;
    siglongjmp(touch_exit, 1);
}

static UNSANITIZED bool traps(volatile unsigned char *at, bool write)
{
    struct sigaction old_segv, old_bus, action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = touched;
    action.sa_flags = (int)SA_NODEFER;
    sigaction(SIGSEGV, &action, &old_segv);
    sigaction(SIGBUS, &action, &old_bus);
    volatile bool trapped = true;
    TOOL_LOOKS_AWAY;
    if (sigsetjmp(touch_exit, 1) == 0) {
        volatile unsigned char byte = *at; /* used: Valgrind leaves out a load that nobody needs */
        if (write)
            *at = byte;
        trapped = false;
    }
    TOOL_LOOKS;
    sigaction(SIGSEGV, &old_segv, NULL);
    sigaction(SIGBUS, &old_bus, NULL);
    return trapped;
}

static UNSANITIZED void damage(unsigned char *at)
{
    TOOL_LOOKS_AWAY;
    *at ^= 4;
    TOOL_LOOKS;
}

static UNSANITIZED bool all_bytes_are(const unsigned char *start, size_t size_bytes,
                                      unsigned char value)
{
    bool same = true;
    TOOL_LOOKS_AWAY;
    for (size_t i = 0; i < size_bytes && same; i++)
        same = start[i] == value;
    TOOL_TAKES_FOR_WRITTEN(&same, sizeof(same));
    TOOL_LOOKS;
    return same;
}

#endif
