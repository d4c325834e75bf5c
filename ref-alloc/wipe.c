/* wipe.c - the public name of wipe.h. */
#include "wipe.h"

#include "ref_alloc.h"

void ref_alloc_wipe(void *memory, size_t size_bytes)
{
    if (size_bytes != 0)
        wipe_bytes(memory, size_bytes);
}
