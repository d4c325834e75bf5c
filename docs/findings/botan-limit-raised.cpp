// botan-limit-raised.cpp: lowers the soft limit on locked memory, loads Botan, and looks at it again.
//
// Botan is loaded late, since it acts when it is loaded: the program is linked with libdl alone.
#include <cstdio>
#include <dlfcn.h>
#include <sys/resource.h>

int main()
{
    rlimit limit{};
    getrlimit(RLIMIT_MEMLOCK, &limit);
    if (limit.rlim_max > 1048576)
        limit.rlim_max = 1048576;
    limit.rlim_cur = 65536;
    setrlimit(RLIMIT_MEMLOCK, &limit);
    std::printf("before: soft %lu, hard %lu\n", limit.rlim_cur, limit.rlim_max);
    void *botan = dlopen("libbotan-2.so.19", RTLD_NOW);
    if (botan == nullptr)
        return 1;
    auto allocate =
        reinterpret_cast<void *(*)(size_t, size_t)>(dlsym(botan, "_ZN5Botan15allocate_memoryEmm"));
    if (allocate == nullptr || allocate(32, 1) == nullptr)
        return 1;
    getrlimit(RLIMIT_MEMLOCK, &limit);
    std::printf("after the first secret: soft %lu, hard %lu\n", limit.rlim_cur, limit.rlim_max);
}
