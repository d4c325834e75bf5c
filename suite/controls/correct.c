/* SPDX-License-Identifier: MIT */
/*
 * correct.c: the negative control: an allocator that keeps every promise that ordinary memory can
 * keep, in the plainest way. The suite must find nothing wrong with it. It shares no code with any
 * other allocator here, so that a mistake in one cannot blind the suite to the same one in another.
 *
 *     base              data                                    data + data_bytes
 *      | guard page      | slack, canary | secret, n | canary    | guard page |
 *      | PROT_NONE       |               | p                     | PROT_NONE  |
 *
 *     p = data + data_bytes - round_up(n, align): what follows the secret is less than align bytes
 *     a page is locked <=> its span is charged;   heap->charged = sum of data_bytes of those spans
 *
 * A span is found by its address in a table of its own, before any byte of it is touched; nothing
 * in or beside a secret is ever trusted. A freed span is wiped, unlocked and replaced by pages that
 * cannot be touched; its addresses stay reserved until QUARANTINE later frees.
 *
 * After fork() the child has lost its locks and, by MADV_WIPEONFORK, the secrets. A context that it
 * inherits is therefore inert there: alloc says EPERM, free and close do nothing. The child may
 * open a context of its own.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "contract/strongroom.h"

#ifndef CONTROL_NAME /* a known-bad allocator made from this one has its own */
#define CONTROL_NAME "control-correct"
#endif
#define MIN_ALIGN ((size_t)16)
#define KEY_BYTES ((size_t)16)
#define BUCKETS ((size_t)8192)
#define QUARANTINE 256u

struct span {
    struct span *next;
    unsigned char *base, *data, *p;
    size_t total_bytes, data_bytes, n;
    bool used;     /* p was handed out: there may be secret bytes in it */
    bool writable; /* the data pages are known to be so */
    bool charged;  /* the kernel may count the data pages as locked */
};

struct heap {
    pthread_mutex_t mutex;
    pid_t owner;
    size_t page_bytes, budget_bytes, charged;
    void (*fatal)(void *arg, const char *message);
    void *fatal_arg;
    unsigned char key[KEY_BYTES];
    struct span *live[BUCKETS];
    struct span *stuck; /* freed, but the kernel would not wipe or unlock them yet */
    struct span *oldest, *newest;
    unsigned quarantined;
};

static void unlock(struct heap *heap)
{
    pthread_mutex_unlock(&heap->mutex);
}

/* Ends with the mutex free: fatal may leave by longjmp. */
static _Noreturn void die(struct heap *heap, const char *message)
{
    unlock(heap);
    if (heap->fatal)
        heap->fatal(heap->fatal_arg, message);
    abort();
}

/* False in a child that inherited the heap: there it is not to be touched, nor its mutex, which
 * another thread of the parent may have held. */
static bool enter(struct heap *heap)
{
    if (getpid() != heap->owner)
        return false;
    pthread_mutex_lock(&heap->mutex);
    return true;
}

static bool round_up(size_t n, size_t align, size_t *rounded)
{
    if (__builtin_add_overflow(n, align - 1, rounded))
        return false;
    *rounded &= ~(align - 1);
    return true;
}

/* ------------------------------------------------------------------------------- the canary */

static unsigned char canary_byte(const struct heap *heap, const unsigned char *at)
{
    uintptr_t address = (uintptr_t)at;
    return (unsigned char)(heap->key[address % KEY_BYTES] ^ (address >> 8));
}

static void canary_set(const struct heap *heap, unsigned char *from, const unsigned char *to)
{
    for (; from < to; from++)
        *from = canary_byte(heap, from);
}

static bool canary_whole(const struct heap *heap, const unsigned char *from,
                         const unsigned char *to)
{
    for (; from < to; from++) {
        if (*from != canary_byte(heap, from))
            return false;
    }
    return true;
}

/* -------------------------------------------------------------------------------- the table */

static struct span **bucket(struct heap *heap, const void *p)
{
    return &heap->live[(uintptr_t)p / heap->page_bytes % BUCKETS];
}

/* The link that leads to the live secret at exactly p, or NULL. */
static struct span **find(struct heap *heap, const void *p)
{
    struct span **link = bucket(heap, p);
    while (*link && (*link)->p != p)
        link = &(*link)->next;
    return *link ? link : NULL;
}

/* ------------------------------------------------------------------------------ giving back */

static void forget_oldest(struct heap *heap)
{
    struct span *span = heap->oldest;
    heap->oldest = span->next;
    if (!heap->oldest)
        heap->newest = NULL;
    heap->quarantined--;
    /* Should this fail, it costs addresses and nothing else. Never again: they may not be ours. */
    munmap(span->base, span->total_bytes);
    free(span);
}

static void quarantine(struct heap *heap, struct span *span)
{
    span->next = NULL;
    if (heap->newest)
        heap->newest->next = span;
    else
        heap->oldest = span;
    heap->newest = span;
    if (++heap->quarantined > QUARANTINE)
        forget_oldest(heap);
}

static void discharge(struct heap *heap, struct span *span)
{
    if (span->charged)
        heap->charged -= span->data_bytes;
    span->charged = false;
}

/* Wipe, unlock, make untouchable. False if the kernel refused what matters; to be tried again. */
static bool release(struct heap *heap, struct span *span)
{
    if (span->used) {
        if (!span->writable && mprotect(span->data, span->data_bytes, PROT_READ | PROT_WRITE))
            return false;
        span->writable = true;
        explicit_bzero(span->data, span->data_bytes);
        span->used = false;
    }
    if (munlock(span->data, span->data_bytes) == 0)
        discharge(heap, span);
    /* Fresh pages in their place: the address stays ours, the memory does not, nor any lock. */
    if (mmap(span->data, span->data_bytes, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != MAP_FAILED)
        discharge(heap, span);
    else
        mprotect(span->data, span->data_bytes, PROT_NONE);
    span->writable = false;
    return !span->charged;
}

static void retire(struct heap *heap, struct span *span)
{
    if (release(heap, span)) {
        quarantine(heap, span);
    } else {
        span->next = heap->stuck;
        heap->stuck = span;
    }
}

static void retry_stuck(struct heap *heap)
{
    struct span *span = heap->stuck;
    heap->stuck = NULL;
    while (span) {
        struct span *next = span->next;
        retire(heap, span);
        span = next;
    }
}

/* ----------------------------------------------------------------------------------- taking */

/* The limit is kept here too: with CAP_IPC_LOCK the kernel would let it pass. */
static bool within_limit(const struct heap *heap, size_t more_bytes)
{
    struct rlimit soft;
    size_t after;
    if (getrlimit(RLIMIT_MEMLOCK, &soft) != 0 ||
        __builtin_add_overflow(heap->charged, more_bytes, &after))
        return false;
    return (soft.rlim_cur == RLIM_INFINITY || after <= soft.rlim_cur) &&
           (heap->budget_bytes == 0 || after <= heap->budget_bytes);
}

static unsigned char *reserve(struct heap *heap, size_t bytes)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *base = mmap(NULL, bytes, PROT_NONE, flags, -1, 0);
    if (base == MAP_FAILED && heap->oldest) {
        while (heap->oldest)
            forget_oldest(heap);
        base = mmap(NULL, bytes, PROT_NONE, flags, -1, 0);
    }
    return base == MAP_FAILED ? NULL : base;
}

/* Locked, not dumped, not inherited; or errno. A failed mlock may still have been charged. */
static bool secure(struct heap *heap, struct span *span)
{
    if (madvise(span->data, span->data_bytes, MADV_DONTDUMP) != 0 ||
        madvise(span->data, span->data_bytes, MADV_WIPEONFORK) != 0)
        return false;
    span->charged = true;
    heap->charged += span->data_bytes;
    return mlock(span->data, span->data_bytes) == 0;
}

/* Fills in a span whose n, data_bytes and total_bytes are known; on failure it is gone. */
static bool build(struct heap *heap, struct span *span, size_t rounded)
{
    int error;
    span->base = reserve(heap, span->total_bytes);
    if (!span->base) {
        free(span);
        return false;
    }
    span->data = span->base + heap->page_bytes;
    span->p = span->data + span->data_bytes - rounded;
    if (mprotect(span->data, span->data_bytes, PROT_READ | PROT_WRITE) != 0) {
        error = errno;
        munmap(span->base, span->total_bytes);
        free(span);
        errno = error;
        return false;
    }
    span->writable = true;
    if (!secure(heap, span)) {
        error = errno;
        retire(heap, span);
        errno = error;
        return false;
    }
    span->used = true;
    canary_set(heap, span->data, span->p);
    canary_set(heap, span->p + span->n, span->data + span->data_bytes);
    return true;
}

static void *take(struct heap *heap, size_t align, size_t n)
{
    size_t rounded, data_bytes, total_bytes;
    retry_stuck(heap);
    if (!round_up(n ? n : 1, align, &rounded) ||
        !round_up(rounded, heap->page_bytes, &data_bytes) ||
        __builtin_add_overflow(data_bytes, 2 * heap->page_bytes, &total_bytes) ||
        !within_limit(heap, data_bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    struct span *span = calloc(1, sizeof *span);
    if (!span)
        return NULL;
    span->n = n;
    span->data_bytes = data_bytes;
    span->total_bytes = total_bytes;
    if (!build(heap, span, rounded))
        return NULL;
    struct span **link = bucket(heap, span->p);
    span->next = *link;
    *link = span;
    return span->p;
}

static void give_back(struct heap *heap, void *p, size_t n)
{
    struct span **link = find(heap, p);
    if (!link)
        die(heap, "free of an address that is not a live secret");
    struct span *span = *link;
    if (span->n != n)
        die(heap, "free with another size than was asked for");
    if (!span->writable && mprotect(span->data, span->data_bytes, PROT_READ | PROT_WRITE) == 0)
        span->writable = true;
    /* Where the kernel will not show the canaries, wiping waits and they go unchecked. */
    bool whole =
        !span->writable || (canary_whole(heap, span->data, span->p) &&
                            canary_whole(heap, span->p + n, span->data + span->data_bytes));
    *link = span->next;
    retire(heap, span);
    if (!whole)
        die(heap, "a secret was written past its ends");
}

/* ------------------------------------------------------------------------------ the entries */

static int correct_open(const struct secret_config *config, void **context)
{
    struct heap *heap = calloc(1, sizeof *heap);
    if (!heap)
        return ENOMEM;
    if (getrandom(heap->key, sizeof heap->key, 0) != (ssize_t)sizeof heap->key) {
        int error = errno ? errno : EIO;
        free(heap);
        return error;
    }
    heap->owner = getpid();
    heap->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    heap->budget_bytes = config->lock_budget_bytes;
    heap->fatal = config->fatal;
    heap->fatal_arg = config->fatal_arg;
    pthread_mutex_init(&heap->mutex, NULL);
    *context = heap;
    return 0;
}

static void *correct_alloc_aligned(void *context, size_t align, size_t n)
{
    struct heap *heap = context;
    if (align == 0 || (align & (align - 1)) != 0 || align > heap->page_bytes) {
        errno = EINVAL;
        return NULL;
    }
    if (!enter(heap)) {
        errno = EPERM;
        return NULL;
    }
    void *p = take(heap, align < MIN_ALIGN ? MIN_ALIGN : align, n);
    unlock(heap);
    return p;
}

static void *correct_alloc(void *context, size_t n)
{
    return correct_alloc_aligned(context, MIN_ALIGN, n);
}

static void correct_free(void *context, void *p, size_t n)
{
    struct heap *heap = context;
    int error = errno;
    if (!p || !enter(heap))
        return;
    retry_stuck(heap);
    give_back(heap, p, n);
    unlock(heap);
    errno = error;
}

static int correct_close(void *context)
{
    struct heap *heap = context;
    if (!enter(heap))
        return 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        while (heap->live[i]) {
            struct span *span = heap->live[i];
            heap->live[i] = span->next;
            retire(heap, span);
        }
    }
    retry_stuck(heap);
    while (heap->oldest)
        forget_oldest(heap);
    int error =
        heap->stuck ? EBUSY : 0; /* what is stuck stays reserved; the kernel refused twice */
    while (heap->stuck) {
        struct span *span = heap->stuck;
        heap->stuck = span->next;
        free(span);
    }
    unlock(heap);
    pthread_mutex_destroy(&heap->mutex);
    free(heap);
    return error;
}

/* Always to a new place: the old one goes the way of every freed secret. */
static void *move(struct heap *heap, void *p, size_t old_n, size_t new_n)
{
    struct span **link = find(heap, p);
    if (!link || (*link)->n != old_n)
        die(heap, "resize of an address that is not a live secret of that size");
    struct span *old = *link;
    void *moved = take(heap, MIN_ALIGN, new_n);
    if (!moved)
        return NULL;
    if (!old->writable && mprotect(old->data, old->data_bytes, PROT_READ | PROT_WRITE) != 0) {
        int error = errno;
        give_back(heap, moved, new_n);
        errno = error;
        return NULL;
    }
    old->writable = true;
    memcpy(moved, p, old_n < new_n ? old_n : new_n);
    give_back(heap, p, old_n);
    return moved;
}

static void *correct_resize(void *context, void *p, size_t old_n, size_t new_n)
{
    struct heap *heap = context;
    if (!enter(heap)) {
        errno = EPERM;
        return NULL;
    }
    void *moved = move(heap, p, old_n, new_n);
    unlock(heap);
    return moved;
}

/* All that was asked for: what lies beyond is canary. */
static size_t correct_usable(void *context, const void *p)
{
    struct heap *heap = context;
    if (!enter(heap))
        return 0;
    struct span **link = find(heap, p);
    size_t n = link ? (*link)->n : 0;
    unlock(heap);
    return n;
}

static int correct_protect(void *context, void *p, int access)
{
    static const int kernel_access[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE};
    struct heap *heap = context;
    int error = 0;
    if (access < SECRET_ACCESS_NONE || access > SECRET_ACCESS_READ_WRITE)
        return EINVAL;
    if (!enter(heap))
        return EPERM;
    struct span **link = find(heap, p);
    if (!link) {
        error = EINVAL;
    } else {
        struct span *span = *link;
        span->writable = false; /* not known, should the call fail */
        if (mprotect(span->data, span->data_bytes, kernel_access[access]) != 0)
            error = errno;
        else
            span->writable = access == SECRET_ACCESS_READ_WRITE;
    }
    unlock(heap);
    return error;
}

static size_t correct_locked_bytes(void *context)
{
    struct heap *heap = context;
    if (!enter(heap))
        return 0;
    size_t charged = heap->charged;
    unlock(heap);
    return charged;
}

/* All but `unreadable`: ordinary memory cannot be kept from root. */
static const char *const claims[] = {
    "locked",
    "honest-lock",
    "accounting",
    "own-limit",
    "neighbour",
    "zero-on-free",
    "all-zero",
    "fresh",
    "zero-on-resize",
    "sizes",
    "alignment",
    "guard-after",
    "guard-before",
    "overrun-caught",
    "underrun-caught",
    "use-after-free",
    "double-free",
    "bad-free",
    "zero-on-close",
    "no-dump",
    "fork",
    "no-swap",
    "no-residue",
    "states",
    "threads",
    "fault-hygiene",
    "reopen",
    "scale",
    NULL,
};

static const struct secret_alloc correct = {
    .size = sizeof correct,
    .flags = SECRET_ALLOC_THREAD_SAFE | SECRET_ALLOC_USES_FATAL,
    .name = CONTROL_NAME,
    .version = "1",
    .library = CONTROL_NAME,
    .claims = claims,
    .min_align = MIN_ALIGN,
    .open = correct_open,
    .alloc = correct_alloc,
    .free = correct_free,
    .close = correct_close,
    .resize = correct_resize,
    .alloc_aligned = correct_alloc_aligned,
    .usable = correct_usable,
    .protect = correct_protect,
    .locked_bytes = correct_locked_bytes,
};

const struct secret_alloc *const *strongroom_subjects(uint32_t abi_major)
{
    static const struct secret_alloc *const subjects[] = {&correct, NULL};
    return abi_major == STRONGROOM_ABI_MAJOR ? subjects : NULL;
}
