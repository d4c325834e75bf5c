/* botan.cpp - the pool of locked memory behind Botan's secure_vector. */
#include <botan/mem_ops.h>

#include <cstdio>
#include <cstdlib>
#include <new>

#include "allocator.h"

/* Botan takes half a megabyte of locked memory unless the environment says otherwise. */
bool botan_open(const struct need *need)
{
    char text[32];
    size_t pool_bytes =
        need->limit_bytes != 0 ? need->limit_bytes : 4 * need->live * need->size_bytes + (1 << 20);
    std::snprintf(text, sizeof(text), "%zu", pool_bytes);
    return setenv("BOTAN_MLOCK_POOL_SIZE", text, 1) == 0;
}

void *botan_allocate(size_t size_bytes)
{
    try {
        return Botan::allocate_memory(size_bytes, 1);
    } catch (const std::bad_alloc &) {
        return nullptr;
    }
}

void botan_release(void *secret, size_t size_bytes)
{
    Botan::deallocate_memory(secret, size_bytes, 1);
}
