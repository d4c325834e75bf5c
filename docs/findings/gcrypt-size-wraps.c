/* gcrypt-size-wraps.c: asks libgcrypt's secure memory for sizes that cannot be had. */
#include <errno.h>
#include <gcrypt.h>
#include <stdint.h>
#include <stdio.h>

static void ask(const char *text, size_t size_bytes)
{
    errno = 0;
    void *secret = gcry_malloc_secure(size_bytes);
    printf("%-14s %s\n", text, secret == NULL ? "refused" : "a pointer");
    if (secret != NULL) {
        void *next = gcry_malloc_secure(32);
        printf("%-14s the next secret, of 32 bytes, starts %td bytes behind it\n", "",
               (char *)next - (char *)secret);
    }
}

int main(void)
{
    if (gcry_check_version(NULL) == NULL || gcry_control(GCRYCTL_INIT_SECMEM, 16384, 0) != 0)
        return 1;
    gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
    printf("libgcrypt %s\n", gcry_check_version(NULL));
    ask("SIZE_MAX / 2", SIZE_MAX / 2);
    ask("SIZE_MAX - 31", SIZE_MAX - 31);
    ask("SIZE_MAX - 30", SIZE_MAX - 30);
    ask("SIZE_MAX", SIZE_MAX);
    return 0;
}
