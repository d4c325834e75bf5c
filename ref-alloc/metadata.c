/* metadata.c - see metadata.h. */
#include "metadata.h"

#include <errno.h>

#include "layout.h"

#define BLOCK_BYTES ((size_t)256 * 1024)
#define PIECE_ALIGN_BYTES ((size_t)128)

struct metadata_block {
    struct metadata_block *older;
    size_t map_bytes; /* with both guards */
};

void metadata_open(struct metadata *metadata, size_t page_bytes)
{
    *metadata = (struct metadata){.page_bytes = page_bytes};
}

static struct metadata_block *map_block(const struct metadata *metadata, size_t size_bytes)
{
    unsigned char *map;
    size_t page_bytes = metadata->page_bytes;
    size_t usable_bytes = layout_round_up(size_bytes + PIECE_ALIGN_BYTES, page_bytes);
    size_t map_bytes = usable_bytes + 2 * page_bytes;
    if (!os_reserve(map_bytes, &map))
        return NULL;
    if (!os_protect(map + page_bytes, usable_bytes, OS_READ_WRITE)) {
        int saved = errno;
        os_unmap(map, map_bytes);
        errno = saved;
        return NULL;
    }
    struct metadata_block *block = (struct metadata_block *)(void *)(map + page_bytes);
    block->map_bytes = map_bytes;
    return block;
}

static void *take_from_block(struct metadata *metadata, size_t size_bytes)
{
    if (metadata->left_bytes < size_bytes)
        return NULL;
    void *piece = metadata->next;
    metadata->next += size_bytes;
    metadata->left_bytes -= size_bytes;
    return piece;
}

/* The list grows by one store, so that it is whole in a child at whatever moment the parent forked. */
static void add_block(struct metadata *metadata, struct metadata_block *block)
{
    block->older = atomic_load(&metadata->blocks);
    atomic_store(&metadata->blocks, block);
}

void *metadata_take(struct metadata *metadata, size_t size_bytes)
{
    size_bytes = layout_round_up(size_bytes, PIECE_ALIGN_BYTES);
    lock_take(&metadata->lock);
    void *piece = take_from_block(metadata, size_bytes);
    lock_give(&metadata->lock);
    if (piece != NULL)
        return piece;

    bool alone = size_bytes > BLOCK_BYTES / 4;
    struct metadata_block *block = map_block(metadata, alone ? size_bytes : BLOCK_BYTES);
    if (block == NULL)
        return NULL;
    unsigned char *first = (unsigned char *)block + PIECE_ALIGN_BYTES;
    lock_take(&metadata->lock);
    add_block(metadata, block);
    if (!alone) {
        metadata->next = first + size_bytes;
        metadata->left_bytes = BLOCK_BYTES - size_bytes;
    }
    lock_give(&metadata->lock);
    return first;
}

void metadata_adopt(struct metadata *metadata)
{
    atomic_store(&metadata->lock.held, 0);
    metadata->next = NULL;
    metadata->left_bytes = 0;
}

void metadata_close(struct metadata *metadata)
{
    size_t page_bytes = metadata->page_bytes;
    struct metadata_block *block = atomic_load(&metadata->blocks);
    while (block != NULL) {
        struct metadata_block *older = block->older;
        os_unmap((unsigned char *)block - page_bytes, block->map_bytes);
        block = older;
    }
}
