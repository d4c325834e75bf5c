/* gcrypt-alignment.c: to what the pointers of libgcrypt are aligned. */
#include <gcrypt.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

static int multiples_of_16(void *(*allocate)(size_t size_bytes))
{
    int count = 0;
    for (int i = 0; i < 16; i++)
        count += (uintptr_t)allocate(32) % 16 == 0;
    return count;
}

int main(void)
{
    if (gcry_check_version(NULL) == NULL || gcry_control(GCRYCTL_INIT_SECMEM, 16384, 0) != 0)
        return 1;
    gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
    printf("libgcrypt %s, _Alignof(max_align_t) %zu\n", gcry_check_version(NULL),
           _Alignof(max_align_t));
    printf("gcry_malloc(32): %d of 16 pointers are multiples of 16\n",
           multiples_of_16(gcry_malloc));
    printf("gcry_malloc_secure(32): %d\n", multiples_of_16(gcry_malloc_secure));
    return 0;
}
