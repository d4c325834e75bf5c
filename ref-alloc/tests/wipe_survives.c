/*
 * wipe_survives.c - a wipe that no optimizer removes: built with -O3 and link-time optimization, looked at from
 * outside of what the compiler can see.
 *
 * The buffers are freed right after they are wiped, which makes every plain memset a dead store. What is left of
 * them is then read through /proc/self/mem, by address. A plain memset is tried the same way: where it survives,
 * too, this compiler removes nothing here and the test proves nothing, so it is skipped (77).
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ref_alloc.h"

#define SIZE 320
#define FREE_WRITES 64 /* at the start of what it is given, at most */

static uintptr_t address;

static void plain_memset(void *memory, size_t size_bytes)
{
    memset(memory, 0, size_bytes);
}

static inline __attribute__((always_inline)) unsigned char *make_secret(void)
{
    unsigned char *buffer = malloc(SIZE);
    if (buffer == NULL)
        abort();
    address = (uintptr_t)buffer;
    for (size_t i = 0; i < SIZE; i++)
        ((volatile unsigned char *)buffer)[i] = 0xa5;
    return buffer;
}

static __attribute__((noinline)) void with_wipe(void)
{
    unsigned char *buffer = make_secret();
    ref_alloc_wipe(buffer, SIZE);
    free(buffer);
}

static __attribute__((noinline)) void with_memset(void)
{
    unsigned char *buffer = make_secret();
    plain_memset(buffer, SIZE);
    free(buffer);
}

/* How many bytes of the secret are left where the dead buffer was. */
static int left_behind(int memory)
{
    static unsigned char bytes[SIZE];
    int count = 0;
    if (pread(memory, bytes, SIZE, (off_t)address) != SIZE)
        return -1;
    for (size_t i = FREE_WRITES; i < SIZE; i++)
        count += bytes[i] == 0xa5;
    return count;
}

int main(void)
{
    int memory = open("/proc/self/mem", O_RDONLY);
    with_memset();
    int after_memset = left_behind(memory);
    with_wipe();
    int after_wipe = left_behind(memory);
    if (memory < 0 || after_memset < 0 || after_wipe < 0) {
        perror("wipe_survives: /proc/self/mem");
        return 77;
    }
    printf("left of %d bytes: %d after memset, %d after ref_alloc_wipe\n", SIZE - FREE_WRITES,
           after_memset, after_wipe);
    if (after_wipe != 0)
        return 1;
    return after_memset > SIZE / 2 ? 0 : 77;
}
