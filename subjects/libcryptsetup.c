/* SPDX-License-Identifier: MIT */
/*
 * libcryptsetup.c: libcryptsetup's safe memory: crypt_safe_alloc, crypt_safe_realloc, crypt_safe_free.
 *
 * needs: libcryptsetup (libcryptsetup-dev)
 *
 * Claims are from libcryptsetup.h, "Safe memory helpers functions", which promises that memory is
 * wiped, and neither locks nor guards. The library tells its version to pkg-config only, at build.
 */
#include <errno.h>
#include <libcryptsetup.h>

#include "contract/strongroom.h"

#ifndef LIBRARY_VERSION
#define LIBRARY_VERSION "unknown"
#endif

static int open_nothing(const struct secret_config *config, void **context)
{
    (void)config; /* it knows no budget, and reports no misuse */
    *context = NULL;
    return 0;
}

static void *allocate(void *context, size_t size_bytes)
{
    (void)context;
    errno = 0;
    void *secret = crypt_safe_alloc(size_bytes);
    if (secret == NULL && errno == 0)
        errno = EINVAL; /* it refuses 0 and what wraps without a word */
    return secret;
}

static void release(void *context, void *secret, size_t size_bytes)
{
    (void)context;
    (void)size_bytes;
    crypt_safe_free(secret);
}

static void *resize(void *context, void *secret, size_t old_size_bytes, size_t new_size_bytes)
{
    (void)context;
    (void)old_size_bytes;
    return crypt_safe_realloc(secret, new_size_bytes);
}

static const char *const claims[] = {
    /* crypt_safe_alloc: "content is safely wiped on deallocation"; crypt_safe_free: "Release safe
     * memory, content is safely wiped" */
    "zero-on-free",
    /* crypt_safe_realloc: "content is copied and safely wiped on deallocation" */
    "zero-on-resize",
    /* crypt_safe_alloc: "pointer to allocated memory or NULL" */
    "sizes",
    NULL,
};

static const struct secret_alloc libcryptsetup = {
    .size = sizeof libcryptsetup,
    .flags = SECRET_ALLOC_THREAD_SAFE | SECRET_ALLOC_CHILD_MAY_ALLOC | SECRET_ALLOC_CHILD_MAY_FREE,
    .name = "libcryptsetup",
    .version = LIBRARY_VERSION,
    .library = "libcryptsetup",
    .claims = claims,
    .open = open_nothing,
    .alloc = allocate,
    .free = release,
    .resize = resize,
};

const struct secret_alloc *const *strongroom_subjects(uint32_t abi_major)
{
    static const struct secret_alloc *const subjects[] = {&libcryptsetup, NULL};
    return abi_major == STRONGROOM_ABI_MAJOR ? subjects : NULL;
}
