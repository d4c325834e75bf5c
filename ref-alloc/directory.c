/* directory.c - see directory.h. */
#include "directory.h"

#include "layout.h"

bool directory_open(struct directory *directory, struct metadata *metadata, size_t page_bytes)
{
    directory->metadata = metadata;
    directory->chunk_bits =
        (unsigned)__builtin_ctzl((unsigned long)(LAYOUT_CHUNK_PAGES * page_bytes));
    unsigned number_bits = DIRECTORY_ADDRESS_BITS - directory->chunk_bits;
    unsigned root_bits = number_bits > DIRECTORY_LEAF_BITS ? number_bits - DIRECTORY_LEAF_BITS : 0;
    directory->root_entries = (size_t)1 << root_bits;
    directory->root = metadata_take(metadata, directory->root_entries * sizeof(*directory->root));
    return directory->root != NULL;
}

static _Atomic(struct directory_leaf *) *root_entry(struct directory *directory,
                                                    const void *address)
{
    return &directory->root[((uintptr_t)address >> directory->chunk_bits) >> DIRECTORY_LEAF_BITS];
}

/* Two threads may both make a leaf; the one that comes second leaves its own unused. */
bool directory_prepare(struct directory *directory, const void *address)
{
    struct directory_leaf *present = NULL, *fresh;
    if (atomic_load(root_entry(directory, address)) != NULL)
        return true;
    fresh = metadata_take(directory->metadata, sizeof(*fresh));
    if (fresh == NULL)
        return false;
    atomic_compare_exchange_strong(root_entry(directory, address), &present, fresh);
    return true;
}

void directory_set(struct directory *directory, const void *address, struct chunk *chunk)
{
    struct directory_leaf *leaf = atomic_load(root_entry(directory, address));
    uintptr_t number = (uintptr_t)address >> directory->chunk_bits;
    atomic_store_explicit(&leaf->chunks[number & ((1U << DIRECTORY_LEAF_BITS) - 1)], chunk,
                          memory_order_release);
}
