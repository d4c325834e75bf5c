/* libcryptsetup-neighbour-unlocked.c: frees one of two secrets, and asks whether the other is locked. */
#include <errno.h>
#include <libcryptsetup.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/* The kernel refuses to page out what is locked. */
static const char *locked(const void *secret)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    void *start = (void *)((uintptr_t)secret / page * page);
    return madvise(start, page, MADV_PAGEOUT) != 0 && errno == EINVAL ? "locked" : "not locked";
}

int main(void)
{
    void *first = crypt_safe_alloc(32), *second = crypt_safe_alloc(32);
    printf("two secrets of 32 bytes: the second is %s\n", locked(second));
    crypt_safe_free(first);
    printf("the first is freed: the second is %s\n", locked(second));
    return 0;
}
