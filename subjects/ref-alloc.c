/* SPDX-License-Identifier: MIT */
/*
 * ref-alloc.c: the reference allocator of this project, in each of its placements, and with the memory
 * that only the process itself can read.
 *
 * needs: ref-alloc
 *
 * Claims are from the head of ref-alloc/ref_alloc.h and from the comments of the functions named. A
 * known-bad ref-alloc (subjects/defects/) is built with -DDEFECT_NAME and -DDEFECT_PLACEMENT: one
 * variant, of that name.
 */
#include <errno.h>

#include "contract/strongroom.h"
#include "ref-alloc/ref_alloc.h"

static int open_heap(const struct secret_config *config, enum ref_alloc_placement placement,
                     bool secret_memory, void **context)
{
    const struct ref_alloc_config wish = {
        .placement = placement,
        .secret_memory = secret_memory,
        .lock_budget_bytes = config->lock_budget_bytes,
        .fatal = config->fatal,
        .fatal_arg = config->fatal_arg,
    };
    struct ref_alloc_heap *heap;
    if (!ref_alloc_open(&wish, &heap))
        return errno;
    *context = heap;
    return 0;
}

static int open_guarded(const struct secret_config *config, void **context)
{
    return open_heap(config, REF_ALLOC_PLACEMENT_GUARDED, false, context);
}

static int open_memfd(const struct secret_config *config, void **context)
{
    return open_heap(config, REF_ALLOC_PLACEMENT_GUARDED, true, context);
}

static int open_packed(const struct secret_config *config, void **context)
{
    return open_heap(config, REF_ALLOC_PLACEMENT_PACKED, false, context);
}

static void *allocate(void *context, size_t size_bytes)
{
    return ref_alloc_allocate(context, size_bytes);
}

static void release(void *context, void *secret, size_t size_bytes)
{
    (void)size_bytes;
    ref_alloc_free(context, secret);
}

static int close_heap(void *context)
{
    return ref_alloc_close(context) ? 0 : errno;
}

static void *resize(void *context, void *secret, size_t old_size_bytes, size_t new_size_bytes)
{
    (void)old_size_bytes;
    return ref_alloc_resize(context, secret, new_size_bytes);
}

static void *allocate_aligned(void *context, size_t align_bytes, size_t size_bytes)
{
    return ref_alloc_aligned(context, align_bytes, size_bytes);
}

static size_t usable(void *context, const void *secret)
{
    return ref_alloc_usable_bytes(context, secret);
}

static int protect(void *context, void *secret, int access)
{
    const enum ref_alloc_access wish = access == SECRET_ACCESS_NONE   ? REF_ALLOC_ACCESS_NONE
                                       : access == SECRET_ACCESS_READ ? REF_ALLOC_ACCESS_READ
                                                                      : REF_ALLOC_ACCESS_READ_WRITE;
    return ref_alloc_protect(context, secret, wish) ? 0 : errno;
}

static size_t locked_bytes(void *context)
{
    struct ref_alloc_statistics statistics;
    return ref_alloc_statistics(context, &statistics) ? statistics.locked_bytes : 0;
}

static const char *const all_claims[] = {
    "unreadable",      /* ref_alloc_config.secret_memory: "not readable through the kernel" */
#define MEMFD_ONLY 1   /* what follows holds of ordinary memory too */
    "guard-after",     /* head: "[guard][canary ... secret][guard]", "a touch past the end traps" */
    "guard-before",    /* the same picture */
    "states",          /* ref_alloc_protect */
    "underrun-caught", /* head: "checked canary on its borders"; packed has it on the far one only */
#define GUARDED_ONLY 5 /* what follows holds for both placements */
    "locked",          /* head: "locked in memory [...] before the caller gets the pointer" */
    "no-swap",         /* head: "locked in memory (never swapped)" */
    "no-dump",         /* head: "left out of core files" */
    "fork",            /* head: "wiped or absent in a forked child (raw clone included)" */
    "zero-on-free",    /* head: "overwritten with zeros, whole, before its memory is used" */
    "all-zero",        /* the same */
    "fresh",           /* ref_alloc_allocate: "reads as zero" */
    "honest-lock",     /* head: "Where one of these can't be had, the call fails" */
    "fault-hygiene",   /* the same; ref_alloc_allocate: "a failed call costs no quota" */
    "accounting",      /* head, Limits; ref_alloc_statistics: "what this heap adds to VmLck" */
    "own-limit",       /* head, Limits: "even in a process that may ignore that limit" */
    "neighbour",       /* ref_alloc_allocate: "and no other secret changes" */
    "zero-on-resize",  /* ref_alloc_resize: "no copy or tail of it is left anywhere" */
    "no-residue",      /* the same */
    "sizes",           /* ref_alloc_allocate: "ENOMEM if the size can't exist" */
    "alignment",       /* ref_alloc_allocate, ref_alloc_aligned */
    "double-free",     /* ref_alloc_free: "fatal, before anything is changed" */
    "bad-free",        /* the same */
    "overrun-caught",  /* ref_alloc_free: OVERRUN */
    "use-after-free",  /* head: "overwritten with zeros"; REF_ALLOC_FATAL_WRITE_AFTER_FREE */
    "zero-on-close",   /* ref_alloc_close: "wipes every secret that is still alive" */
    "threads",         /* head, Threads */
    "reopen",          /* ref_alloc_open: a new heap is like any other */
    "scale",           /* none of these is said to depend on how many there are */
    NULL,
};

#ifdef DEFECT_NAME
#define NAME_OF(name) DEFECT_NAME
#define LIBRARY DEFECT_NAME
#else
#define NAME_OF(name) name
#define LIBRARY "ref-alloc"
#endif

#define TABLE(its_name, its_open, its_claims, its_protect)                                  \
    {                                                                                       \
        .size = sizeof(struct secret_alloc),                                                \
        .flags = SECRET_ALLOC_THREAD_SAFE | SECRET_ALLOC_USES_FATAL |                       \
                 SECRET_ALLOC_CHILD_MAY_ALLOC | SECRET_ALLOC_CHILD_MAY_FREE,                \
        .name = NAME_OF(its_name), .version = REF_ALLOC_VERSION, .library = LIBRARY,        \
        .claims = its_claims, .min_align = REF_ALLOC_DEFAULT_ALIGN_BYTES, .open = its_open, \
        .alloc = allocate, .free = release, .close = close_heap, .resize = resize,          \
        .alloc_aligned = allocate_aligned, .usable = usable, .protect = its_protect,        \
        .locked_bytes = locked_bytes,                                                       \
    }

static const struct secret_alloc guarded =
    TABLE("ref-alloc-guarded", open_guarded, all_claims + MEMFD_ONLY, protect);
static const struct secret_alloc memfd = TABLE("ref-alloc-memfd", open_memfd, all_claims, protect);
/* A packed secret shares its page with others: access is not its own, and protect says ENOTSUP. */
static const struct secret_alloc packed =
    TABLE("ref-alloc-packed", open_packed, all_claims + GUARDED_ONLY, NULL);

const struct secret_alloc *const *strongroom_subjects(uint32_t abi_major)
{
#ifdef DEFECT_NAME
    static const struct secret_alloc *const subjects[] = {&DEFECT_PLACEMENT, NULL};
    (void)&guarded;
    (void)&packed;
    (void)&memfd;
#else
    static const struct secret_alloc *const subjects[] = {&guarded, &packed, &memfd, NULL};
#endif
    return abi_major == STRONGROOM_ABI_MAJOR ? subjects : NULL;
}
