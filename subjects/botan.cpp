// SPDX-License-Identifier: MIT
/*
 * botan.cpp: Botan's memory for secrets: secure_allocator, the one behind each secure_vector.
 *
 * needs: botan-2 (libbotan-2-dev)
 *
 * Its pool of locked pages is made when the first secret is asked for, as large as RLIMIT_MEMLOCK
 * and BOTAN_MLOCK_POOL_SIZE allow, and is there until the process ends: so no close.
 *
 * Claims are from the handbook of Botan 2, "Memory container" (doc/api_ref/secmem.rst). Of locks it
 * says that "allocations first attempt to allocate out of this small locked pool, and then if that
 * fails will fall back to normal heap allocations".
 */
#include <botan/secmem.h>
#include <botan/version.h>
#include <cerrno>
#include <new>

#include "contract/strongroom.h"

namespace
{

Botan::secure_allocator<uint8_t> allocator;

int open_nothing(const secret_config *, void **context)
{
    *context = nullptr;
    return 0;
}

void *allocate(void *, size_t size_bytes)
{
    errno = EINVAL; // it gives NULL for nothing
    try {
        return allocator.allocate(size_bytes);
    } catch (const std::bad_alloc &) {
        errno = ENOMEM;
        return nullptr;
    }
}

void release(void *, void *secret, size_t size_bytes)
{
    allocator.deallocate(static_cast<uint8_t *>(secret), size_bytes);
}

const char *const claims[] = {
    // "a custom allocator that will zero memory before deallocation"
    "zero-on-free",
    nullptr,
};

const secret_alloc botan = [] {
    secret_alloc table{};
    table.size = sizeof table;
    table.flags = SECRET_ALLOC_SINGLE_INSTANCE | SECRET_ALLOC_THREAD_SAFE |
                  SECRET_ALLOC_CHILD_MAY_ALLOC | SECRET_ALLOC_CHILD_MAY_FREE;
    table.name = table.library = "botan";
    table.version = Botan::short_version_cstr();
    table.claims = claims;
    table.min_align = 1; // an allocator of uint8_t owes what that type needs
    table.open = open_nothing;
    table.alloc = allocate;
    table.free = release;
    return table;
}();

} // namespace

const secret_alloc *const *strongroom_subjects(uint32_t abi_major)
{
    static const secret_alloc *const subjects[] = {&botan, nullptr};
    return abi_major == STRONGROOM_ABI_MAJOR ? subjects : nullptr;
}
