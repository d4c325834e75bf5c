/*
 * directory.h - from any address to the chunk that holds it, in two loads and without a lock.
 *
 *     address   | root index | leaf index, 14 bits | place in the chunk: log2(LAYOUT_CHUNK_PAGES * page) bits |
 *                     |              |
 *                   root[] -----> leaf[] -----> chunk
 *
 * A chunk is aligned to the size of a pooled chunk, so one entry covers it; a longer one is only ever looked up
 * by its first page, where its secret starts.
 * Both tables are reserved in full and the kernel fills in the pages that are used.
 */
#ifndef DIRECTORY_H
#define DIRECTORY_H

#include <stdatomic.h>
#include <stdint.h>

#include "metadata.h"

#pragma GCC visibility push(hidden)

/* User addresses on 64-bit Linux stay below 2^48 unless a program asks for more by a hint, which we don't. */
#if UINTPTR_MAX > 0xffffffffU
#define DIRECTORY_ADDRESS_BITS 48
#else
#define DIRECTORY_ADDRESS_BITS 32
#endif
#define DIRECTORY_LEAF_BITS 14

struct chunk;
struct directory_leaf {
    _Atomic(struct chunk *) chunks[1 << DIRECTORY_LEAF_BITS];
};

struct directory {
    unsigned chunk_bits;
    size_t root_entries;
    _Atomic(struct directory_leaf *) *root;
    struct metadata *metadata;
};

/* false and errno. */
bool directory_open(struct directory *directory, struct metadata *metadata, size_t page_bytes);
/* Makes sure that directory_set can't fail for this address. false and errno. */
bool directory_prepare(struct directory *directory, const void *address);
/* chunk NULL removes the entry. */
void directory_set(struct directory *directory, const void *address, struct chunk *chunk);

static inline struct chunk *directory_find(const struct directory *directory, const void *address)
{
    uintptr_t number = (uintptr_t)address >> directory->chunk_bits;
    size_t root_index = number >> DIRECTORY_LEAF_BITS;
    if (root_index >= directory->root_entries)
        return NULL;
    struct directory_leaf *leaf =
        atomic_load_explicit(&directory->root[root_index], memory_order_acquire);
    if (leaf == NULL)
        return NULL;
    size_t leaf_index = number & ((1U << DIRECTORY_LEAF_BITS) - 1);
    return atomic_load_explicit(&leaf->chunks[leaf_index], memory_order_acquire);
}

#pragma GCC visibility pop

#endif
