/* includable.cpp - the header by itself in C++, and a secret through it. */
#include "ref_alloc.h"

int main()
{
    struct ref_alloc_config config = {};
    struct ref_alloc_heap *heap = nullptr;
    if (!ref_alloc_open(&config, &heap))
        return 1;
    void *secret = ref_alloc_allocate(heap, 32);
    ref_alloc_free(heap, secret);
    return secret != nullptr && ref_alloc_close(heap) ? 0 : 1;
}
