/* SPDX-License-Identifier: MIT */
/* lying_lock.c: mlock as the sanitizers have it, for tools that leave it alone: says yes and locks nothing. */
#undef mlock /* which the build calls something else, to take the ledger's away */
#include <stddef.h>

int mlock(const void *address, size_t size_bytes);

int mlock(const void *address, size_t size_bytes)
{
    (void)address;
    (void)size_bytes;
    return 0;
}
