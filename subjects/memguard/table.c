/* SPDX-License-Identifier: MIT */
/*
 * table.c: what memguard.go exports, as the table of a subject.
 *
 * Claims are from the documentation of memguard 0.23 (pkg.go.dev, README.md) and of its functions.
 */
#include <errno.h>

#include <_cgo_export.h>

#include "contract/strongroom.h"

static int open_session(const struct secret_config *config, void **context)
{
    (void)config; /* its only limit is RLIMIT_MEMLOCK, and it reports misuse by a panic */
    *context = NULL;
    return 0;
}

static void *allocate(void *context, size_t size_bytes)
{
    (void)context;
    void *secret = memguardNew(size_bytes);
    if (secret == NULL)
        errno = ENOMEM; /* Go has no errno */
    return secret;
}

static void release(void *context, void *secret, size_t size_bytes)
{
    (void)context;
    (void)size_bytes;
    memguardDestroy(secret);
}

static int purge(void *context)
{
    (void)context;
    memguardPurge();
    return 0;
}

static const char *const claims[] = {
    /* README, Features: "fortified with guard pages and canary values to detect spurious accesses
     * and overflows"; core.Buffer: "Guard page addressed before the data", "... after the data" */
    "guard-after",
    "underrun-caught",
    /* README: "locking memory to prevent swapping" */
    "locked",
    "no-swap",
    /* core.Destroy: "securely wipes the contents of, and then releases a Buffer's memory" */
    "zero-on-free",
    /* docs.go: "Core dumps are disabled by default" */
    "no-dump",
    /* Purge: "wipes all sensitive data and keys before reinitialising the session" */
    "zero-on-close",
    "reopen",
    NULL,
};

static struct secret_alloc memguard = {
    .size = sizeof memguard,
    .flags = SECRET_ALLOC_SINGLE_INSTANCE | SECRET_ALLOC_THREAD_SAFE,
    .name = "memguard",
    .library = "memguard",
    .claims = claims,
    .min_align = 1,
    .open = open_session,
    .alloc = allocate,
    .free = release,
    .close = purge,
};

const struct secret_alloc *const *strongroom_subjects(uint32_t abi_major)
{
    static const struct secret_alloc *const subjects[] = {&memguard, NULL};
    memguard.version = memguardVersion();
    return abi_major == STRONGROOM_ABI_MAJOR ? subjects : NULL;
}
