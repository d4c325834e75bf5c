/*
 * ref_alloc.h - an allocator for secrets: keys, passwords, tokens.
 *
 * A secret returned by this allocator
 *   - lies on pages that are locked in memory (never swapped) before the caller gets the pointer,
 *   - is left out of core files, and is wiped or absent in a forked child (raw clone included),
 *   - has a guard page or a checked canary on its borders,
 *   - is overwritten with zeros, whole, before its memory is used for anything else.
 * Where one of these can't be had, the call fails with NULL and errno. Weaker memory is never returned.
 *
 * Two placements:
 *   guarded   each secret has pages of its own: [guard][canary ... secret][guard]
 *             One locked page for each secret of up to a page. A touch past the end traps: at once where the size
 *             is a multiple of the alignment, else behind the few bytes that fill it up, which are canary.
 *   packed    secrets share locked pages, each followed by a canary that is checked when it is freed.
 *             1,360 secrets of 32 bytes fit into a 64 KiB lock limit (x86-64).
 *
 * Heaps. Every function takes a heap; NULL means the default heap, which is created on first use with
 * REF_ALLOC_PLACEMENT_BY_SIZE and every protection on. There is no constructor: a program that links this
 * library and never calls it pays nothing.
 *
 * Threads. Every function but ref_alloc_close and ref_alloc_validate may be called from any thread at any time.
 * What is inside one secret is the callers' business, as with malloc.
 *
 * Signals. No function is async-signal-safe (ref_alloc_wipe is). None is a cancellation point.
 *
 * Fork. A child, made by fork or by a raw clone without CLONE_VM, in a threaded program or not:
 *   - cannot read the parent's secrets: they read as zeros (REF_ALLOC_FORK_WIPE), or the touch traps
 *     (REF_ALLOC_FORK_ABSENT, and all secrets of a secret_memory heap);
 *   - may allocate at once, from any heap: what it gets is locked anew, for locks don't survive a fork;
 *   - may free an inherited pointer, which does nothing: the kernel has done the wiping. All other functions
 *     fail with EINVAL for an inherited pointer, and ref_alloc_usable_bytes says 0;
 *   - may close an inherited heap.
 *   The parent's secrets, and its heaps, are not changed by anything the child does.
 *
 * Limits. The locked bytes of a heap never exceed its lock_budget_bytes, and those of all heaps of the process
 * never exceed the soft RLIMIT_MEMLOCK, even in a process that may ignore that limit (CAP_IPC_LOCK).
 * Both are compared in whole pages, and the limit is read again whenever a heap grows. What only rests, in any
 * heap of the process, is given back to the kernel before a call is refused.
 *
 * Misuse ends in `fatal` with one of the REF_ALLOC_FATAL_ messages below, which contain no byte of any secret.
 *
 * Undefined: using a heap after or while it is closed; two threads that free the same secret at the same moment
 * (one is caught if the other came first); reading or writing outside of a secret, where it doesn't trap.
 */
#ifndef REF_ALLOC_H
#define REF_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define REF_ALLOC_API __attribute__((visibility("default")))
#else
#define REF_ALLOC_API
#endif

#define REF_ALLOC_VERSION "1.0.0"

/* The least alignment of every secret: what malloc promises. */
#define REF_ALLOC_DEFAULT_ALIGN_BYTES 16

/* The messages that `fatal` can be called with: all of them. */
#define REF_ALLOC_FATAL_DOUBLE_FREE "ref-alloc: a secret was freed twice"
#define REF_ALLOC_FATAL_BAD_POINTER "ref-alloc: a pointer is not the start of a secret of this heap"
#define REF_ALLOC_FATAL_OVERRUN "ref-alloc: there was a write past the end of a secret"
#define REF_ALLOC_FATAL_UNDERRUN "ref-alloc: there was a write before the start of a secret"
#define REF_ALLOC_FATAL_WRITE_AFTER_FREE \
    "ref-alloc: there was a write to a secret that had been freed"

enum ref_alloc_placement {
    REF_ALLOC_PLACEMENT_BY_SIZE =
        0, /* packed where a slot exists (up to half a page), else guarded */
    REF_ALLOC_PLACEMENT_GUARDED = 1, /* always guarded */
    REF_ALLOC_PLACEMENT_PACKED = 2   /* the same as BY_SIZE, said as a wish */
};

enum ref_alloc_fork {
    REF_ALLOC_FORK_WIPE = 0,  /* a child finds zeros: MADV_WIPEONFORK, Linux 4.14 */
    REF_ALLOC_FORK_ABSENT = 1 /* a child finds no memory there: MADV_DONTFORK */
};

enum ref_alloc_access {
    REF_ALLOC_ACCESS_NONE = 0,
    REF_ALLOC_ACCESS_READ = 1,
    REF_ALLOC_ACCESS_READ_WRITE = 2
};

/* The protections of one heap. All zero is the default, and the strictest that every system can give. */
struct ref_alloc_config {
    enum ref_alloc_placement placement;
    enum ref_alloc_fork fork;
    size_t lock_budget_bytes; /* 0: only RLIMIT_MEMLOCK limits this heap */
    /* How many freed guarded secrets of up to a page rest, inaccessible and locked, before the memory of the
     * oldest is used again; of longer ones as many fewer as they are longer, but at least one, and beyond 16
     * pages none: only their addresses rest. 0: the default of 8.
     * All are locked with the first secret of their length, and given back when the lock limit is reached. */
    size_t quarantine_spans;
    bool without_canary; /* packed: 2,048 rather than 1,360 secrets of 32 bytes in 64 KiB */
    bool allow_core_dump;
    /* Back secrets with memfd_secret(2), Linux 5.14: not readable through the kernel, by root either, while
     * it blocks hibernation. Implies REF_ALLOC_FORK_ABSENT. ref_alloc_open fails with ENOSYS where absent. */
    bool secret_memory;
    /* Called on misuse, with no lock held. It must not return; it may longjmp, after which the heap can still
     * be used. NULL, or a handler that returns: every secret of every heap is wiped, then abort(). */
    void (*fatal)(void *arg, const char *message);
    void *fatal_arg;
};

struct ref_alloc_statistics {
    size_t live_secrets;
    size_t live_bytes;   /* the sum of the sizes that were asked for */
    size_t locked_bytes; /* what this heap adds to VmLck in /proc/self/status */
    size_t locked_high_water_bytes;
    size_t failed_locks; /* how often the kernel refused to lock memory */
};

struct ref_alloc_heap;

/*
 * Opens a heap. `config` NULL means all defaults.
 * false and errno: EINVAL for a config with an unknown value, or where pages are not of 4 to 64 KiB; ENOSYS if
 * secret_memory is asked for and not there; otherwise what the kernel answered, to mmap for example.
 */
REF_ALLOC_API bool ref_alloc_open(const struct ref_alloc_config *config,
                                  struct ref_alloc_heap **heap);

/*
 * Wipes every secret that is still alive, unlocks and unmaps all memory of the heap. NULL closes the default
 * heap; a later use creates it anew. No other thread may use the heap meanwhile, nor later.
 * false and errno: the kernel would not let a page be written to, or not take memory back. All that could be wiped
 * is wiped; the heap can only be closed again.
 */
REF_ALLOC_API bool ref_alloc_close(struct ref_alloc_heap *heap);

/* The heap that NULL stands for. NULL and errno as in ref_alloc_open when it can't be created. */
REF_ALLOC_API struct ref_alloc_heap *ref_alloc_default_heap(void);

/*
 * A new secret of size_bytes, aligned to 16 bytes, that reads as zero.
 * size_bytes 0 gives a unique pointer that must be freed and has no usable byte (guarded: touching it traps).
 * NULL and errno: ENOMEM if the size can't exist, or the lock limit is reached and nothing idle is left to give
 * back; otherwise what the kernel answered: EAGAIN or EPERM from mlock, ENOMEM or EAGAIN when the process has no
 * mapping left, and so on. A failed call costs no quota, and no other secret changes.
 * fatal: WRITE_AFTER_FREE when the packed slot that was to be handed out is not zero any more; then it is wiped.
 */
REF_ALLOC_API void *ref_alloc_allocate(struct ref_alloc_heap *heap, size_t size_bytes);

/* The same for `count` things of size_bytes each. ENOMEM if the product doesn't fit into a size_t. */
REF_ALLOC_API void *ref_alloc_zeroed(struct ref_alloc_heap *heap, size_t count, size_t size_bytes);

/* The same, aligned to align_bytes, but no less than to 16: a power of two, at most the page size, else NULL
 * and EINVAL. */
REF_ALLOC_API void *ref_alloc_aligned(struct ref_alloc_heap *heap, size_t align_bytes,
                                      size_t size_bytes);

/*
 * Changes the size of a secret. Its first min(old, new) bytes and its alignment are kept, new bytes read as
 * zero, and no copy or tail of it is left anywhere. The secret may move. `secret` NULL allocates.
 * NULL and errno, with the old secret untouched: as in ref_alloc_allocate; EACCES if its access is not
 * read-write; EINVAL if it was inherited from before a fork. `fatal` as in ref_alloc_free.
 */
REF_ALLOC_API void *ref_alloc_resize(struct ref_alloc_heap *heap, void *secret,
                                     size_t new_size_bytes);

/*
 * Wipes and frees a secret, whatever its access is. NULL is ignored. errno is kept.
 * fatal, before anything is changed: DOUBLE_FREE; BAD_POINTER for a foreign or interior pointer.
 * fatal, after the secret was wiped: OVERRUN, UNDERRUN when its canary is damaged; then it is freed.
 */
REF_ALLOC_API void ref_alloc_free(struct ref_alloc_heap *heap, void *secret);

/* The size that was asked for: there is a canary or a guard behind it. 0 for NULL. `fatal` BAD_POINTER. */
REF_ALLOC_API size_t ref_alloc_usable_bytes(struct ref_alloc_heap *heap, const void *secret);

/*
 * Sets what the processor allows on every page of a guarded secret.
 * false and errno: ENOTSUP for a packed secret; EINVAL for an unknown access or an inherited secret; what the
 * kernel answered to mprotect. The access is then unchanged, unless the kernel refused that, too. `fatal` BAD_POINTER.
 */
REF_ALLOC_API bool ref_alloc_protect(struct ref_alloc_heap *heap, void *secret,
                                     enum ref_alloc_access access);

/* Never fails but for a default heap that can't be created: false and errno. */
REF_ALLOC_API bool ref_alloc_statistics(struct ref_alloc_heap *heap,
                                        struct ref_alloc_statistics *statistics);

/*
 * Checks every invariant of the heap, the canaries of all live secrets included. For tests and debugging: it
 * takes time proportional to the heap, and no other thread may be inside ref-alloc. true if all is well.
 */
REF_ALLOC_API bool ref_alloc_validate(struct ref_alloc_heap *heap);

/* Overwrites memory with zeros in a way that no compiler removes. For copies of secrets outside of a heap. */
REF_ALLOC_API void ref_alloc_wipe(void *memory, size_t size_bytes);

#ifdef __cplusplus
}
#endif

#endif
