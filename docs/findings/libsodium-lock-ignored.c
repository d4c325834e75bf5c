/* libsodium-lock-ignored.c: sodium_malloc where nothing can be locked. */
#include <sodium.h>
#include <stdio.h>
#include <sys/resource.h>

int main(void)
{
    const struct rlimit none = {0, 0};
    char line[128];
    long kib = -1;
    if (sodium_init() < 0 || setrlimit(RLIMIT_MEMLOCK, &none) != 0)
        return 1;
    printf("libsodium %s\n", sodium_version_string());
    printf("sodium_malloc: %s\n", sodium_malloc(32) == NULL ? "refused" : "a pointer");
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        (void)sscanf(line, "VmLck: %ld", &kib);
    printf("VmLck: %ld kB\n", kib);
    return 0;
}
