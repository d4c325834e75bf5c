/* gcrypt-realloc-tail.c: makes a secret smaller, and looks at what stands behind it. */
#include <gcrypt.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    if (gcry_check_version(NULL) == NULL || gcry_control(GCRYCTL_INIT_SECMEM, 16384, 0) != 0)
        return 1;
    gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
    printf("libgcrypt %s\n", gcry_check_version(NULL));
    unsigned char *secret = gcry_malloc_secure(64);
    memset(secret, 'S', 64);
    unsigned char *smaller = gcry_realloc(secret, 16);
    int left = 0;
    for (int i = 16; i < 64; i++)
        left += smaller[i] == 'S';
    printf("64 bytes, made 16: %s, %d of the 48 bytes behind are as they were\n",
           smaller == secret ? "at the same place" : "moved", left);
    gcry_free(smaller);
    left = 0;
    for (int i = 0; i < 64; i++)
        left += secret[i] == 'S';
    printf("after gcry_free: %d\n", left);
    return 0;
}
