/* SPDX-License-Identifier: MIT */
/* secrets.c: the pool of secret bytes and its index. */
#include "suite/observe/secrets.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "suite/case/protocol.h"

#define INDEX_SLOTS (CASE_POOL_BYTES * 4) /* a load of 1/4: most searches end at the first slot */
#define MAPPED_BYTES (CASE_POOL_BYTES + 4096)

static uint64_t window_load(const uint8_t *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

/* Fibonacci hashing: the upper bits of a product are well mixed. */
static size_t window_slot(uint64_t window)
{
    return (size_t)((window * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (INDEX_SLOTS - 1);
}

/* No two bytes in a row are zero, so wiped memory never looks like a piece of a secret. */
static bool pool_fill(uint8_t *pool)
{
    for (size_t done = 0; done < CASE_POOL_BYTES;) {
        ssize_t got = getrandom(pool + done, CASE_POOL_BYTES - done, 0);
        if (got < 0 && errno != EINTR)
            return false;
        done += got > 0 ? (size_t)got : 0;
    }
    for (size_t i = 0; i < CASE_POOL_BYTES; i++) {
        if (i % CASE_ZERO_EVERY == CASE_ZERO_EVERY - 1)
            pool[i] = 0;
        else if (pool[i] == 0)
            pool[i] = 0xa5;
    }
    memcpy(pool + CASE_POOL_BYTES, pool, SECRETS_WINDOW_BYTES);
    return true;
}

static void index_build(struct secrets *secrets)
{
    for (size_t i = 0; i < CASE_POOL_BYTES; i++) {
        size_t slot = window_slot(window_load(secrets->pool + i));
        while (secrets->index[slot] != 0)
            slot = (slot + 1) & (INDEX_SLOTS - 1);
        secrets->index[slot] = (uint32_t)i + 1;
    }
}

bool secrets_open(struct secrets *secrets)
{
    *secrets = (struct secrets){.pool_fd = memfd_create("strongroom-secrets", MFD_CLOEXEC)};
    if (secrets->pool_fd < 0 || ftruncate(secrets->pool_fd, MAPPED_BYTES) != 0)
        return false;
    uint8_t *pool =
        mmap(NULL, MAPPED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, secrets->pool_fd, 0);
    uint32_t *index = mmap(NULL, INDEX_SLOTS * sizeof *index, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pool == MAP_FAILED || index == MAP_FAILED || !pool_fill(pool))
        return false;
    (void)madvise(index, INDEX_SLOTS * sizeof *index, MADV_HUGEPAGE); /* fewer TLB misses */
    (void)madvise(index, INDEX_SLOTS * sizeof *index, MADV_DONTFORK); /* fork: 0.2 ms, not 5 */
    secrets->pool = pool;
    secrets->index = index;
    index_build(secrets);
    return true;
}

void secrets_close(struct secrets *secrets)
{
    (void)munmap((void *)(uintptr_t)secrets->pool, MAPPED_BYTES);
    (void)munmap(secrets->index, INDEX_SLOTS * sizeof *secrets->index);
    (void)close(secrets->pool_fd);
}

uint8_t secrets_byte(const struct secrets *secrets, uint64_t position)
{
    return secrets->pool[position % CASE_POOL_BYTES];
}

bool secrets_find(const struct secrets *secrets, const uint8_t bytes[SECRETS_WINDOW_BYTES],
                  uint32_t *position)
{
    uint64_t window = window_load(bytes);
    if (*position < CASE_POOL_BYTES && window_load(secrets->pool + *position) == window)
        return true;
    for (size_t slot = window_slot(window); secrets->index[slot] != 0;
         slot = (slot + 1) & (INDEX_SLOTS - 1)) {
        if (window_load(secrets->pool + secrets->index[slot] - 1) == window) {
            *position = secrets->index[slot] - 1;
            return true;
        }
    }
    return false;
}
