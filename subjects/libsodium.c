/* SPDX-License-Identifier: MIT */
/*
 * libsodium.c: libsodium's guarded heap: sodium_malloc, sodium_free, sodium_mprotect_*.
 *
 * needs: libsodium (libsodium-dev)
 *
 * Claims are from https://doc.libsodium.org/memory_management, "Guarded heap allocations". What it
 * says of locking ("to help avoid it being swapped") is no promise; `locked` and the other core
 * promises are owed by any allocator for secrets, and judged without a claim. Nor does it say how
 * far before a secret "an additional guard page" is: that page is for reads past the end of an
 * unrelated region, so guard-before (within a page) is not claimed.
 */
#include <errno.h>
#include <sodium.h>

#include "contract/strongroom.h"

static int open_heap(const struct secret_config *config, void **context)
{
    (void)config; /* libsodium knows no budget, and reports misuse by a signal */
    *context = NULL;
    return sodium_init() < 0 ? EIO : 0;
}

static void *allocate(void *context, size_t size_bytes)
{
    (void)context;
    return sodium_malloc(size_bytes);
}

static void release(void *context, void *secret, size_t size_bytes)
{
    (void)context;
    (void)size_bytes;
    sodium_free(secret);
}

static int protect(void *context, void *secret, int access)
{
    (void)context;
    errno = 0;
    int result = access == SECRET_ACCESS_NONE   ? sodium_mprotect_noaccess(secret)
                 : access == SECRET_ACCESS_READ ? sodium_mprotect_readonly(secret)
                                                : sodium_mprotect_readwrite(secret);
    return result == 0 ? 0 : errno ? errno : EIO;
}

static const char *const claims[] = {
    /* "a pointer from which exactly size contiguous bytes of memory can be accessed" */
    "sizes",
    /* "the returned address will not be aligned if the allocation size is not a multiple of the
     * required alignment": so min_align is 1 */
    "alignment",
    /* "immediately followed by a guard page" */
    "guard-after",
    /* "a canary is also placed right before the returned pointer. Modifications of this canary are
     * detected when trying to free the allocated region" */
    "underrun-caught",
    /* "the allocated region is filled with 0xdb bytes" */
    "fresh",
    /* "memory allocated this way will also not be part of core dumps" */
    "no-dump",
    /* sodium_free "also fills the memory region with zeros before the deallocation" */
    "zero-on-free",
    "all-zero",
    /* sodium_mprotect_noaccess: "it cannot be read or written, but the data are preserved";
     * sodium_mprotect_readonly, sodium_mprotect_readwrite */
    "states",
    NULL,
};

static struct secret_alloc libsodium = {
    .size = sizeof libsodium,
    .flags = SECRET_ALLOC_SINGLE_INSTANCE | SECRET_ALLOC_THREAD_SAFE,
    .name = "libsodium",
    .library = "libsodium",
    .claims = claims,
    .min_align = 1,
    .open = open_heap,
    .alloc = allocate,
    .free = release,
    .protect = protect,
};

const struct secret_alloc *const *strongroom_subjects(uint32_t abi_major)
{
    static const struct secret_alloc *const subjects[] = {&libsodium, NULL};
    libsodium.version = sodium_version_string();
    return abi_major == STRONGROOM_ABI_MAJOR ? subjects : NULL;
}
