/* libcryptsetup-limit-ignored.c: safe memory where nothing can be locked. */
#include <libcryptsetup.h>
#include <stdio.h>
#include <sys/resource.h>

int main(void)
{
    const struct rlimit none = {0, 0};
    char line[128];
    long kib = -1;
    if (setrlimit(RLIMIT_MEMLOCK, &none) != 0)
        return 1;
    printf("crypt_safe_alloc: %s\n", crypt_safe_alloc(32) == NULL ? "refused" : "a pointer");
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        (void)sscanf(line, "VmLck: %ld", &kib);
    printf("VmLck: %ld kB\n", kib);
    return 0;
}
