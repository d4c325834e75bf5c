/* SPDX-License-Identifier: MIT */
/*
 * gcrypt.c: libgcrypt's secure memory: gcry_malloc_secure, gcry_realloc, gcry_free.
 *
 * needs: libgcrypt (libgcrypt20-dev)
 *
 * One pool, taken at open: as large as the budget (32 KiB where none is given) and the soft
 * RLIMIT_MEMLOCK allow, 16 KiB at least, which is the smallest that the library makes.
 *
 * Claims are from the manual of libgcrypt 1.10 (info gcrypt). GCRYCTL_INIT_SECMEM answers with an
 * error where the pool could not be locked; that is in no manual, but open looks at it.
 */
#include <errno.h>
#include <gcrypt.h>
#include <sys/resource.h>

#include "contract/strongroom.h"

#define DEFAULT_POOL_BYTES ((size_t)32768)
#define SMALLEST_POOL_BYTES ((size_t)16384)

static size_t pool_bytes(const struct secret_config *config)
{
    size_t room = config->lock_budget_bytes ? config->lock_budget_bytes : DEFAULT_POOL_BYTES;
    struct rlimit soft;
    if (getrlimit(RLIMIT_MEMLOCK, &soft) == 0 && soft.rlim_cur < room)
        room = (size_t)soft.rlim_cur;
    return room < SMALLEST_POOL_BYTES ? SMALLEST_POOL_BYTES : room;
}

static int open_pool(const struct secret_config *config, void **context)
{
    *context = NULL;
    if (gcry_check_version(NULL) == NULL)
        return EIO;
    gcry_control(GCRYCTL_SUSPEND_SECMEM_WARN);
    if (gcry_control(GCRYCTL_INIT_SECMEM, (unsigned)pool_bytes(config), 0) != 0)
        return EPERM;
    gcry_control(GCRYCTL_RESUME_SECMEM_WARN);
    gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
    return 0;
}

static void *allocate(void *context, size_t size_bytes)
{
    (void)context;
    return gcry_malloc_secure(size_bytes);
}

static void release(void *context, void *secret, size_t size_bytes)
{
    (void)context;
    (void)size_bytes;
    gcry_free(secret);
}

static int close_pool(void *context)
{
    (void)context;
    gcry_control(GCRYCTL_TERM_SECMEM);
    return 0;
}

static void *resize(void *context, void *secret, size_t old_size_bytes, size_t new_size_bytes)
{
    (void)context;
    (void)old_size_bytes;
    return gcry_realloc(secret, new_size_bytes);
}

static const char *const claims[] = {
    /* "Initializing the library": "to protect your keys or other information in memory against
     * being swapped out to disk and to enable an automatic overwrite of used and freed memory" */
    "locked",
    "no-swap",
    "zero-on-free",
    /* "Memory allocation", gcry_malloc: "in an out-of-core condition, it returns NULL";
     * gcry_malloc_secure: "Like gcry_malloc, but uses secure memory" */
    "sizes",
    /* "Controlling the library", GCRYCTL_TERM_SECMEM: "zeroises the secure memory" */
    "zero-on-close",
    /* "Multi-Threading": "libgcrypt is thread-safe" once it is initialised */
    "threads",
    NULL,
};

static struct secret_alloc gcrypt = {
    .size = sizeof gcrypt,
    .flags = SECRET_ALLOC_SINGLE_INSTANCE | SECRET_ALLOC_THREAD_SAFE,
    .name = "gcrypt",
    .library = "gcrypt",
    .claims = claims,
    .open = open_pool,
    .alloc = allocate,
    .free = release,
    .close = close_pool,
    .resize = resize,
};

const struct secret_alloc *const *strongroom_subjects(uint32_t abi_major)
{
    static const struct secret_alloc *const subjects[] = {&gcrypt, NULL};
    gcrypt.version = gcry_check_version(NULL);
    return abi_major == STRONGROOM_ABI_MAJOR ? subjects : NULL;
}
