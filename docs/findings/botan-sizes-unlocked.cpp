// botan-sizes-unlocked.cpp: which sizes of a secure_vector are in locked memory, and what becomes of RLIMIT_MEMLOCK.
#include <botan/secmem.h>
#include <botan/version.h>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <sys/mman.h>
#include <unistd.h>

// The kernel refuses to page out what is locked.
static bool locked(const void *secret)
{
    const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    void *start = reinterpret_cast<void *>(reinterpret_cast<uintptr_t>(secret) / page * page);
    return madvise(start, page, MADV_PAGEOUT) != 0 && errno == EINVAL;
}

int main()
{
    std::printf("Botan %s\n", Botan::short_version_cstr());
    size_t first = 0, last = 0, count = 0;
    for (size_t n = 1; n <= 4096; n++) {
        Botan::secure_vector<uint8_t> secret(n);
        if (!locked(secret.data()))
            continue;
        first = first == 0 ? n : first;
        last = n;
        count++;
    }
    std::printf("of the sizes 1 to 4096 bytes %zu are locked, from %zu to %zu\n", count, first,
                last);
}
