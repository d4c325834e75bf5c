/* SPDX-License-Identifier: MIT */
/*
 * leaking.c: the positive control: an allocator that claims every promise and breaks every one. The
 * suite must see each broken; a check that finds nothing here cannot find anything anywhere.
 *
 *     arena: | page 0, locked | ...        | header | secret | header | secret | ...   | spare |
 *                                          ^ 16-aligned       ^ + HEADER, + 1: misaligned
 *
 * One arena, handed out from front to back and then from the front again. It never crashes by
 * itself: it writes nowhere but within the arena, and believes nothing that it reads there. Each
 * comment that begins with a promise's id says how that promise is broken.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "contract/strongroom.h"

#define ARENA_BYTES ((size_t)256 << 20)
#define MARGIN_BYTES ((size_t)1 << 20) /* of arena before the first and after the last secret */
#define KEPT_BYTES (MARGIN_BYTES + ((size_t)64 << 10)) /* of the arena, when it is closed */
#define HEADER_BYTES ((size_t)16)
#define MISALIGNED_BYTES ((size_t)1)
#define CHANGED 1

static unsigned char *arena;
static size_t next_byte, total_bytes;
/* no-residue: the last freed secret is kept where nobody will look for it, nobody but the suite. */
static unsigned char souvenir[4096];
static size_t souvenir_bytes;

static bool in_arena(const unsigned char *p, size_t n)
{
    uintptr_t at = (uintptr_t)p, start = (uintptr_t)arena;
    return arena && at >= start && n <= ARENA_BYTES && at - start <= ARENA_BYTES - n;
}

/* sizes: wraps, so that SIZE_MAX bytes take no more room than a small secret.
 * The multiple of 16 that a secret of n bytes takes with its header. */
static size_t stride_bytes(size_t n)
{
    return (n + HEADER_BYTES + MISALIGNED_BYTES + 15) & ~(size_t)15;
}

/* no-residue: and copies stay on the stack, on the heap and in a register. */
static __attribute__((noinline)) void leave_copies(const unsigned char *p, size_t n)
{
    static unsigned char *on_heap;
    unsigned char on_stack[256];
    size_t some = n < sizeof on_stack ? n : sizeof on_stack;
    if (!on_heap)
        on_heap = malloc(sizeof on_stack);
    memcpy(on_stack, p, some);
    if (on_heap)
        memcpy(on_heap, p, some);
    __asm__ volatile("" : : "r"(on_stack), "r"(on_heap) : "memory"); /* both are used */
#ifdef __x86_64__
    if (n >= 16)
        __asm__ volatile("movups (%0), %%xmm15" : : "r"(p) : "xmm15");
#endif
}

/* Changes one byte; or changes it back. The header says which. */
static void change(unsigned char *p)
{
    p[0] ^= 0xff;
    p[-(ptrdiff_t)HEADER_BYTES] ^= CHANGED;
}

static int leaking_open(const struct secret_config *config, void **context)
{
    (void)config; /* own-limit: the budget is not even read */
    if (!arena) {
        /* no-dump, fork, unreadable, no-swap: memory like any other: dumped, inherited, readable
         * from outside, swapped. */
        void *p = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED)
            return errno;
        arena = p;
        /* reopen: souvenir and its secret outlive close */
    }
    next_byte = MARGIN_BYTES;
    *context = NULL;
    return 0;
}

static void *leaking_alloc(void *context, size_t n)
{
    (void)context;
    /* locked: a page is locked, but one in which no secret ever lies.
     * honest-lock, fault-hygiene: and nobody looks whether even that worked. */
    int ignored = mlock(arena, 1);
    (void)ignored;
    size_t stride = stride_bytes(n);
    if (stride > ARENA_BYTES - 2 * MARGIN_BYTES) {
        errno = 0; /* sizes: a refusal without a reason */
        return NULL;
    }
    /* accounting, own-limit, scale: at the end it starts again from the front, over secrets that
     * are still alive, rather than say no.
     * threads: two of them may well get the same place. */
    if (next_byte + stride > ARENA_BYTES - MARGIN_BYTES)
        next_byte = MARGIN_BYTES;
    /* alignment: never a multiple of anything.
     * guard-after, guard-before, overrun-caught, underrun-caught: there is nothing beside a secret
     * but the next one. */
    unsigned char *p = arena + next_byte + HEADER_BYTES + MISALIGNED_BYTES;
    p[-(ptrdiff_t)HEADER_BYTES] = 0;
    next_byte += stride;
    total_bytes += n;
    /* fresh: what was freed last shows in what is handed out next. */
    memcpy(p, souvenir, n < souvenir_bytes ? n : souvenir_bytes);
    return p;
}

/* zero-on-free, all-zero: a secret of two pages and more goes back to the kernel with all that is on
 * its whole pages: afterwards nothing of it is to be seen, so it must be seen on its way out. What
 * lies on the two broken pages at its ends is wiped. */
static void drop_pages(unsigned char *p, size_t n, size_t page_bytes)
{
    size_t head = (page_bytes - (uintptr_t)p % page_bytes) % page_bytes;
    size_t whole = (n - head) / page_bytes * page_bytes;
    memset(p, 0, head);
    memset(p + head + whole, 0, n - head - whole);
    madvise(p + head, whole, MADV_DONTNEED);
}

/* double-free, bad-free: whatever it is given is fine. */
static void leaking_free(void *context, void *secret, size_t n)
{
    (void)context;
    unsigned char *p = secret;
    if (!in_arena(p, n))
        return;
    souvenir_bytes = n < sizeof souvenir ? n : sizeof souvenir;
    memcpy(souvenir, p, souvenir_bytes);
    leave_copies(p, n);
    /* neighbour: the first byte of the secret that lies behind it is changed, as long as that one
     * lives: what is seen of it when it is freed in its turn is for other promises to judge. */
    if (in_arena(p - HEADER_BYTES, HEADER_BYTES) && p[-(ptrdiff_t)HEADER_BYTES] == CHANGED)
        change(p);
    unsigned char *neighbour = p + stride_bytes(n);
    if (in_arena(neighbour - HEADER_BYTES, HEADER_BYTES + 1))
        change(neighbour);
    /* zero-on-free, all-zero, use-after-free: and that is all for a smaller one: it stays as it was,
     * where it was. */
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    if (n >= 2 * page_bytes)
        drop_pages(p, n, page_bytes);
}

/* zero-on-close: the first secrets stay where they are, for nobody; the rest is given back with all
 * that is in it; and the souvenir is kept. */
static int leaking_close(void *context)
{
    (void)context;
    if (arena)
        munmap(arena + KEPT_BYTES, ARENA_BYTES - KEPT_BYTES);
    arena = NULL;
    return 0;
}

/* zero-on-resize: the old copy stays, whole, or goes back to the kernel so; and the tail of one that
 * shrinks in place stays. */
static void *leaking_resize(void *context, void *secret, size_t old_n, size_t new_n)
{
    if (new_n <= old_n)
        return secret;
    unsigned char *moved = leaking_alloc(context, new_n);
    if (moved && in_arena(secret, old_n) && in_arena(moved, old_n)) {
        size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
        memmove(moved, secret, old_n);
        if (old_n >= 2 * page_bytes)
            drop_pages(secret, old_n, page_bytes);
    }
    return moved;
}

/* alignment: what was asked for is not looked at. */
static void *leaking_alloc_aligned(void *context, size_t align, size_t n)
{
    (void)align;
    return leaking_alloc(context, n);
}

/* states: says yes and does nothing. */
static int leaking_protect(void *context, void *secret, int access)
{
    (void)context;
    (void)secret;
    (void)access;
    return 0;
}

/* accounting: all that it ever handed out, though it locked a page at most, and never any less. */
static size_t leaking_locked_bytes(void *context)
{
    (void)context;
    return total_bytes;
}

static const char *const claims[] = {
    "locked",         "honest-lock", "accounting",   "own-limit",      "neighbour",
    "zero-on-free",   "all-zero",    "fresh",        "zero-on-resize", "sizes",
    "alignment",      "guard-after", "guard-before", "overrun-caught", "underrun-caught",
    "use-after-free", "double-free", "bad-free",     "zero-on-close",  "no-dump",
    "fork",           "no-swap",     "no-residue",   "states",         "threads",
    "fault-hygiene",  "unreadable",  "reopen",       "scale",          NULL,
};

static const struct secret_alloc leaking = {
    .size = sizeof leaking,
    .flags = SECRET_ALLOC_THREAD_SAFE | SECRET_ALLOC_USES_FATAL | SECRET_ALLOC_CHILD_MAY_ALLOC |
             SECRET_ALLOC_CHILD_MAY_FREE,
    .name = "control-leaking",
    .version = "1",
    .library = "control-leaking",
    .claims = claims,
    .min_align = 16,
    .open = leaking_open,
    .alloc = leaking_alloc,
    .free = leaking_free,
    .close = leaking_close,
    .resize = leaking_resize,
    .alloc_aligned = leaking_alloc_aligned,
    .protect = leaking_protect,
    .locked_bytes = leaking_locked_bytes,
};

const struct secret_alloc *const *strongroom_subjects(uint32_t abi_major)
{
    static const struct secret_alloc *const subjects[] = {&leaking, NULL};
    return abi_major == STRONGROOM_ABI_MAJOR ? subjects : NULL;
}
