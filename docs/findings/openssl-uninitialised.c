/* openssl-uninitialised.c: the secure heap without initialisation: where its secrets are. */
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    char line[128];
    long kib = -1;
    void *secret = OPENSSL_secure_malloc(32);
    printf("OpenSSL %s\n", OpenSSL_version(OPENSSL_VERSION_STRING));
    printf("OPENSSL_secure_malloc: %s\n", secret == NULL ? "refused" : "a pointer");
    printf("CRYPTO_secure_allocated: %s\n", CRYPTO_secure_allocated(secret) ? "yes" : "no");
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        (void)sscanf(line, "VmLck: %ld", &kib);
    printf("VmLck: %ld kB\n", kib);
    memset(secret, 'S', 32);
    OPENSSL_secure_free(secret);
    int left = 0;
    for (int i = 16; i < 32; i++)
        left += ((volatile char *)secret)[i] == 'S';
    printf("after OPENSSL_secure_free: %d of its last 16 bytes are left\n", left);
    return 0;
}
