/* SPDX-License-Identifier: MIT */
/*
 * strongroom.h: the contract between an allocator for secrets and the programs that verify it.
 *
 * An allocator under test is a *subject*: a shared object, in any language that can export a C
 * symbol, with one function:
 *
 *     const struct secret_alloc *const *strongroom_subjects(uint32_t abi_major);
 *
 * which returns a NULL-terminated list of tables (or a program that brings them by itself:
 * strongroom_case.h). Each table is one variant of the library; most libraries have one. This header
 * is all that a subject needs; it includes nothing of strongroom and compiles as C11 and as C++.
 * docs/bring-your-allocator.md shows whole subjects.
 *
 * Ground rules
 *  - Tables and everything they point to live for as long as the process, and do not change.
 *  - strongroom_subjects() is called once, first, before any entry, in a fresh process that runs
 *    one case only. Constructors may run before it.
 *  - Entries are called from one thread at a time unless SECRET_ALLOC_THREAD_SAFE is set.
 *  - A subject is not sandboxed. It runs without capabilities, and as an unprivileged user where
 *    that can be had, but it is code that you chose to run.
 */
#ifndef STRONGROOM_H
#define STRONGROOM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised when an existing entry changes its meaning. New entries go to the end of a table and do
 * not raise it: `size` says which are there. */
#define STRONGROOM_ABI_MAJOR 1u

/* struct secret_alloc.flags */
#define SECRET_ALLOC_SINGLE_INSTANCE 1u /* at most one open context per process */
#define SECRET_ALLOC_THREAD_SAFE 2u     /* one context may be used by several threads at once */
#define SECRET_ALLOC_USES_FATAL 4u      /* reports misuse through secret_config.fatal */
#define SECRET_ALLOC_CHILD_MAY_ALLOC 8u /* after fork() the child may go on allocating */
#define SECRET_ALLOC_CHILD_MAY_FREE 16u /* after fork() the child may free what it inherited */

/* What open() is given. Valid during the call only; copy what you keep. */
struct secret_config {
    uint32_t size;  /* sizeof(struct secret_config) of the caller; do not read past it */
    uint32_t flags; /* 0; reserved */
    /* At most so many bytes may be locked at once; 0: the subject's own default. A subject that
     * takes one pool at open sizes it by this. RLIMIT_MEMLOCK holds beside it. */
    size_t lock_budget_bytes;
    /* To be called, with a fixed message that holds no secret byte, when the subject detects
     * misuse (a double free, a damaged canary, ...). Does not return: it may end the process, or
     * longjmp out of the subject, after which that context is never used again. NULL: abort(). */
    void (*fatal)(void *arg, const char *message);
    void *fatal_arg;
};

/* protect(): what the program may do with a secret */
enum secret_access { SECRET_ACCESS_NONE = 0, SECRET_ACCESS_READ = 1, SECRET_ACCESS_READ_WRITE = 2 };

/* One allocator for secrets. The entries above the line are required; one below it may be NULL,
 * and the promises that need it are then `not offered`. */
struct secret_alloc {
    uint32_t size;    /* sizeof(struct secret_alloc) as compiled; entries past it count as NULL */
    uint32_t flags;   /* SECRET_ALLOC_... */
    const char *name; /* of this variant: [a-z0-9-], 1 to 63 characters, unlike any other's */
    const char *version; /* of the library, as it says itself; read at run time where it can be */
    const char *library; /* the same for all variants of one library; may equal name */
    /* Ids of the promises it says it keeps (`strongroom explain` lists them), NULL-terminated.
     * Claim what the library's documentation promises, not what you hope. NULL: none. */
    const char *const *claims;
    size_t min_align; /* alignment of every pointer, a power of two; 0: as malloc's */

    /* Make the allocator ready. Returns 0 and a context of the subject's choosing (NULL is fine),
     * or an errno value. */
    int (*open)(const struct secret_config *config, void **context);
    /* At least size_bytes of readable, writable memory, or NULL with errno set. size_bytes may be
     * 0 (a unique pointer, or NULL with errno) and anything up to SIZE_MAX. */
    void *(*alloc)(void *context, size_t size_bytes);
    /* Give back what alloc, alloc_aligned or resize returned. size_bytes as requested there. */
    void (*free)(void *context, void *secret, size_t size_bytes);

    /* ------------------------------------------------------------------------ optional */

    /* Give everything back, secrets that are still alive too. Returns 0 or an errno value; the
     * context is gone in either case. */
    int (*close)(void *context);
    /* As realloc: the new place of the secret, its first min(old, new) bytes kept; or NULL with
     * errno set and the old secret untouched. */
    void *(*resize)(void *context, void *secret, size_t old_size_bytes, size_t new_size_bytes);
    /* As alloc, at a multiple of align_bytes (a power of two); NULL and EINVAL if it cannot. */
    void *(*alloc_aligned)(void *context, size_t align_bytes, size_t size_bytes);
    /* How many bytes from `secret` on may be used: at least as many as were requested. */
    size_t (*usable)(void *context, const void *secret);
    /* Set the access to a live secret to an enum secret_access. Returns 0 or an errno value. */
    int (*protect)(void *context, void *secret, int access);
    /* How many bytes it believes to hold locked just now, spares and bookkeeping included. It is held
     * against what the kernel says after each call, so leave it NULL if a thread of your own locks or
     * unlocks between calls. */
    size_t (*locked_bytes)(void *context);
};

#if defined(__GNUC__)
#define STRONGROOM_EXPORT __attribute__((visibility("default")))
#else
#define STRONGROOM_EXPORT
#endif

/* The one symbol of a subject. Returns NULL if it cannot serve abi_major. */
STRONGROOM_EXPORT const struct secret_alloc *const *strongroom_subjects(uint32_t abi_major);

#ifdef __cplusplus
}
#endif

#endif
