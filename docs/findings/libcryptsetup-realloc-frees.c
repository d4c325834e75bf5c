/* libcryptsetup-realloc-frees.c: a resize that is refused, and what is left of the secret. */
#include <libcryptsetup.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    char *secret = crypt_safe_alloc(32);
    memset(secret, 'S', 32);
    /* Read before it is used again: it is what free left there. */
    void *larger = crypt_safe_realloc(secret, SIZE_MAX / 2);
    int left = 0;
    for (int i = 0; i < 32; i++)
        left += ((volatile char *)secret)[i] == 'S';
    printf("crypt_safe_realloc to SIZE_MAX / 2: %s\n", larger == NULL ? "refused" : "a pointer");
    printf("of the secret's 32 bytes %d are left\n", left);
    void *next = crypt_safe_alloc(32);
    printf("the next secret is given %s\n",
           next == (void *)secret ? "the same place" : "another place");
    return 0;
}
