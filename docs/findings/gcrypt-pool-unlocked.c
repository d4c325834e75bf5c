/* gcrypt-pool-unlocked.c: initialises libgcrypt as its manual shows, where nothing can be locked. */
#include <gcrypt.h>
#include <stdio.h>
#include <sys/resource.h>

static long locked_kib(void)
{
    char line[128];
    long kib = -1;
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        (void)sscanf(line, "VmLck: %ld", &kib);
    if (status != NULL)
        fclose(status);
    return kib;
}

int main(void)
{
    const struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 || gcry_check_version(NULL) == NULL)
        return 1;
    gcry_control(GCRYCTL_SUSPEND_SECMEM_WARN);
    gcry_error_t answer = gcry_control(GCRYCTL_INIT_SECMEM, 16384, 0);
    gcry_control(GCRYCTL_RESUME_SECMEM_WARN);
    gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
    void *secret = gcry_malloc_secure(32);
    printf("libgcrypt %s\n", gcry_check_version(NULL));
    printf("GCRYCTL_INIT_SECMEM: %s\n", answer == 0 ? "success" : gcry_strerror(answer));
    printf("gcry_malloc_secure: %s\n", secret == NULL ? "refused" : "a pointer");
    printf("gcry_is_secure: %s\n", gcry_is_secure(secret) ? "yes" : "no");
    printf("VmLck: %ld kB\n", locked_kib());
    return 0;
}
