/* SPDX-License-Identifier: MIT */
/*
 * openssl.c: OpenSSL's secure heap: OPENSSL_secure_malloc, OPENSSL_secure_clear_free; initialised, and
 * as many programs have it, without.
 *
 * needs: libcrypto (libssl-dev)
 *
 * The heap is one pool of a power of two of bytes, taken at open: as large as the budget (1 MiB
 * where none is given) and the soft RLIMIT_MEMLOCK allow.
 *
 * Claims are from OPENSSL_secure_malloc(3). That page promises neither locks nor guards nor wiping
 * ("the level and type of security guarantees depend on the operating system"); which core promises
 * it keeps all the same is for the verifier to see. Without initialisation, it says, these functions
 * are those of OPENSSL_malloc(3).
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <sys/resource.h>
#include <unistd.h>

#include "contract/strongroom.h"

#define DEFAULT_POOL_BYTES ((size_t)1 << 20)
#define SMALLEST_BYTES ((size_t)32)

static size_t pool_bytes(const struct secret_config *config)
{
    size_t room = config->lock_budget_bytes ? config->lock_budget_bytes : DEFAULT_POOL_BYTES;
    struct rlimit soft;
    if (getrlimit(RLIMIT_MEMLOCK, &soft) == 0 && soft.rlim_cur < room)
        room = (size_t)soft.rlim_cur;
    size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
    if (bytes > room)
        return 0;
    while (bytes <= room / 2)
        bytes *= 2;
    return bytes;
}

static int open_heap(const struct secret_config *config, void **context)
{
    *context = NULL;
    size_t bytes = pool_bytes(config);
    if (bytes == 0)
        return ENOMEM;
    if (CRYPTO_secure_malloc_initialized())
        return EBUSY; /* the last close failed, see there */
    switch (CRYPTO_secure_malloc_init(bytes, SMALLEST_BYTES)) {
    case 1:
        return 0;
    case 2: /* "successful but the heap could not be protected by memory mapping" */
        CRYPTO_secure_malloc_done();
        return EPERM;
    default:
        return ENOMEM;
    }
}

static void *allocate(void *context, size_t size_bytes)
{
    (void)context;
    void *secret = OPENSSL_secure_malloc(size_bytes);
    if (!secret)
        errno = ENOMEM; /* OpenSSL says NULL, and no more */
    return secret;
}

static void release(void *context, void *secret, size_t size_bytes)
{
    (void)context;
    OPENSSL_secure_clear_free(secret, size_bytes);
}

/* It "releases the heap [...] if all secure memory has been freed", else not. */
static int close_heap(void *context)
{
    (void)context;
    return CRYPTO_secure_malloc_done() ? 0 : EBUSY;
}

static size_t usable(void *context, const void *secret)
{
    (void)context;
    /* Not const in OpenSSL before 3.0. */
    return CRYPTO_secure_actual_size((void *)(uintptr_t)secret);
}

static const char *const claims[] = {
    /* RETURN VALUES: "2 if successful but the heap could not be protected by memory mapping": so
     * with 1 it is protected */
    "honest-lock",
    /* RETURN VALUES: "a pointer into the secure heap of the requested size [...] or NULL" */
    "sizes",
    /* DESCRIPTION: "uses a single read/write lock, and therefore any operations that involve
     * allocation or freeing of secure heap memory are serialised" */
    "threads",
    NULL,
};

static int open_nothing(const struct secret_config *config, void **context)
{
    (void)config;
    *context = NULL;
    return 0;
}

static const char *const uninitialised_claims[] = {
    /* RETURN VALUES: "a pointer [...] of the requested size [...] or NULL" */
    "sizes",
    /* OPENSSL_secure_clear_free, DESCRIPTION: "is similar to OPENSSL_secure_free() except that it
     * has an additional num parameter which is used to clear the memory if it was not allocated
     * from the secure heap" */
    "zero-on-free",
    NULL,
};

static struct secret_alloc uninitialised = {
    .size = sizeof uninitialised,
    .flags = SECRET_ALLOC_THREAD_SAFE | SECRET_ALLOC_CHILD_MAY_ALLOC | SECRET_ALLOC_CHILD_MAY_FREE,
    .name = "openssl-uninitialised",
    .library = "openssl",
    .claims = uninitialised_claims,
    .open = open_nothing,
    .alloc = allocate,
    .free = release,
};

static struct secret_alloc openssl = {
    .size = sizeof openssl,
    .flags = SECRET_ALLOC_SINGLE_INSTANCE | SECRET_ALLOC_THREAD_SAFE,
    .name = "openssl",
    .library = "openssl",
    .claims = claims,
    .open = open_heap,
    .alloc = allocate,
    .free = release,
    .close = close_heap,
    .usable = usable,
};

const struct secret_alloc *const *strongroom_subjects(uint32_t abi_major)
{
    static const struct secret_alloc *const subjects[] = {&openssl, &uninitialised, NULL};
#ifdef OPENSSL_VERSION_STRING
    openssl.version = OpenSSL_version(OPENSSL_VERSION_STRING);
#else
    openssl.version = OpenSSL_version(OPENSSL_VERSION);
#endif
    uninitialised.version = openssl.version;
    return abi_major == STRONGROOM_ABI_MAJOR ? subjects : NULL;
}
