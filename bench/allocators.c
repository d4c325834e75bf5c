/*
 * allocators.c - those that are compared: ours, its peers, what has no protection, and the floors that no
 * allocator of that kind can go below.
 */
#include "allocator.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ref_alloc.h"
#ifdef HAVE_SODIUM
#include <sodium.h>
#endif
#ifdef HAVE_OPENSSL
#include <openssl/crypto.h>
#endif
#ifdef HAVE_GCRYPT
#include <gcrypt.h>
#endif

/* ---- ref-alloc ---- */

static struct ref_alloc_heap *heap;

static bool open_at(enum ref_alloc_placement placement)
{
    struct ref_alloc_config config = {.placement = placement};
    return ref_alloc_open(&config, &heap);
}

static bool guarded_open(const struct need *need)
{
    (void)need;
    return open_at(REF_ALLOC_PLACEMENT_GUARDED);
}

static bool packed_open(const struct need *need)
{
    (void)need;
    return open_at(REF_ALLOC_PLACEMENT_PACKED);
}

static bool packed_bare_open(const struct need *need)
{
    struct ref_alloc_config config = {.placement = REF_ALLOC_PLACEMENT_PACKED,
                                      .without_canary = true};
    (void)need;
    return ref_alloc_open(&config, &heap);
}

static void *ours_allocate(size_t size_bytes)
{
    return ref_alloc_allocate(heap, size_bytes);
}

static void ours_release(void *secret, size_t size_bytes)
{
    (void)size_bytes;
    ref_alloc_free(heap, secret);
}

static const struct allocator packed = {"ref-alloc packed", ROLE_OURS, packed_open, ours_allocate,
                                        ours_release};
static const struct allocator packed_bare = {"ref-alloc packed, no canary", ROLE_OURS,
                                             packed_bare_open, ours_allocate, ours_release};
static const struct allocator guarded = {"ref-alloc guarded", ROLE_OURS, guarded_open,
                                         ours_allocate, ours_release};

/* ---- what people write themselves ---- */

static void bzero_release(void *secret, size_t size_bytes)
{
    explicit_bzero(secret, size_bytes);
    free(secret);
}

static const struct allocator unprotected = {"malloc + explicit_bzero", ROLE_UNPROTECTED, NULL,
                                             malloc, bzero_release};

static void *mlock_allocate(size_t size_bytes)
{
    void *secret = calloc(1, size_bytes);
    if (secret == NULL || mlock(secret, size_bytes) == 0)
        return secret;
    free(secret);
    return NULL;
}

static void mlock_release(void *secret, size_t size_bytes)
{
    explicit_bzero(secret, size_bytes);
    munlock(secret, size_bytes);
    free(secret);
}

static const struct allocator malloc_mlock = {"malloc + mlock", ROLE_PEER, NULL, mlock_allocate,
                                              mlock_release};

/* ---- floors ---- */

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t round_to_pages(size_t size_bytes)
{
    return (size_bytes + page_bytes() - 1) & ~(page_bytes() - 1);
}

/* guard | locked pages | guard */
static unsigned char *build_span(size_t size_bytes)
{
    size_t page = page_bytes(), length = round_to_pages(size_bytes);
    unsigned char *map =
        mmap(NULL, length + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return NULL;
    if (mprotect(map + page, length, PROT_READ | PROT_WRITE) != 0 ||
        mlock(map + page, length) != 0 || madvise(map + page, length, MADV_DONTDUMP) != 0) {
        munmap(map, length + 2 * page);
        return NULL;
    }
    return map + page;
}

static void tear_down_span(void *span, size_t size_bytes)
{
    size_t page = page_bytes(), length = round_to_pages(size_bytes);
    munlock(span, length);
    munmap((unsigned char *)span - page, length + 2 * page);
}

static const struct allocator floor_build = {"floor: build one", ROLE_FLOOR, NULL,
                                             (void *(*)(size_t))build_span, tear_down_span};

/* Each thread opens and closes a span of its own: the two permission changes and nothing else. */
static _Thread_local unsigned char *spare_span;

static void *two_mprotects_allocate(size_t size_bytes)
{
    unsigned char *span = spare_span;
    spare_span = NULL;
    if (span == NULL)
        return build_span(size_bytes);
    return mprotect(span, round_to_pages(size_bytes), PROT_READ | PROT_WRITE) == 0 ? span : NULL;
}

static void two_mprotects_release(void *secret, size_t size_bytes)
{
    mprotect(secret, round_to_pages(size_bytes), PROT_NONE);
    spare_span = secret;
}

static const struct allocator floor_mprotect = {"floor: two mprotects", ROLE_FLOOR, NULL,
                                                two_mprotects_allocate, two_mprotects_release};

/* ---- peers ---- */

#ifdef HAVE_SODIUM
static bool sodium_open(const struct need *need)
{
    (void)need;
    return sodium_init() >= 0;
}

static void sodium_release(void *secret, size_t size_bytes)
{
    (void)size_bytes;
    sodium_free(secret);
}

static const struct allocator sodium = {"libsodium", ROLE_PEER, sodium_open, sodium_malloc,
                                        sodium_release};
#endif

#ifdef HAVE_OPENSSL
/* The arena is a power of two, cut by halves: each secret takes the next power of two. */
static bool openssl_open(const struct need *need)
{
    size_t slot_bytes = 16, arena_bytes = (size_t)1 << 16;
    while (slot_bytes < need->size_bytes)
        slot_bytes *= 2;
    while (need->limit_bytes == 0 && arena_bytes < 2 * slot_bytes * (need->live + 2))
        arena_bytes *= 2;
    while (need->limit_bytes != 0 && 2 * arena_bytes <= need->limit_bytes)
        arena_bytes *= 2;
    return CRYPTO_secure_malloc_init(arena_bytes, 16) == 1;
}

static void *openssl_allocate(size_t size_bytes)
{
    return OPENSSL_secure_malloc(size_bytes);
}

static void openssl_release(void *secret, size_t size_bytes)
{
    OPENSSL_secure_clear_free(secret, size_bytes);
}

static const struct allocator openssl = {"OpenSSL", ROLE_PEER, openssl_open, openssl_allocate,
                                         openssl_release};
#endif

#ifdef HAVE_GCRYPT
static bool gcrypt_open(const struct need *need)
{
    size_t pool_bytes = need->limit_bytes != 0
                            ? need->limit_bytes
                            : 2 * (need->live + 16) * (need->size_bytes + 64) + 65536;
    gcry_control(GCRYCTL_SUSPEND_SECMEM_WARN);
    return gcry_check_version(NULL) != NULL &&
           gcry_control(GCRYCTL_INIT_SECMEM, (unsigned)pool_bytes, 0) == 0 &&
           gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0) == 0;
}

static void gcrypt_release(void *secret, size_t size_bytes)
{
    (void)size_bytes;
    gcry_free(secret);
}

static const struct allocator gcrypt = {"libgcrypt", ROLE_PEER, gcrypt_open, gcry_malloc_secure,
                                        gcrypt_release};
#endif

#ifdef HAVE_BOTAN
static const struct allocator botan = {"Botan", ROLE_PEER, botan_open, botan_allocate,
                                       botan_release};
#endif

const struct allocator *const allocators[] = {
    &packed,         &packed_bare, &guarded, &unprotected, &malloc_mlock,
#ifdef HAVE_SODIUM
    &sodium,
#endif
#ifdef HAVE_OPENSSL
    &openssl,
#endif
#ifdef HAVE_GCRYPT
    &gcrypt,
#endif
#ifdef HAVE_BOTAN
    &botan,
#endif
    &floor_mprotect, &floor_build, NULL,
};
