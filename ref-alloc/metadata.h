/*
 * metadata.h - memory for what ref-alloc knows about secrets. It holds no secret byte and is not locked.
 *
 *     | guard | block: handed out from front to back, zeroed | guard |
 *
 * Pieces are never given back singly: whoever reads one without a lock finds a piece of the same kind there for
 * as long as the heap lives.
 */
#ifndef METADATA_H
#define METADATA_H

#include <stdbool.h>
#include <stddef.h>

#include "lock.h"

#pragma GCC visibility push(hidden)

struct metadata_block;

struct metadata {
    struct lock lock;
    size_t page_bytes;
    struct metadata_block *_Atomic blocks; /* all, newest first */
    unsigned char *next;                   /* free part of the block in use */
    size_t left_bytes;
};

void metadata_open(struct metadata *metadata, size_t page_bytes);
/* Zeroed, aligned to 128 bytes. NULL and errno. */
void *metadata_take(struct metadata *metadata, size_t size_bytes);
/* In a forked child: a lock may be held and the free part half updated, by a thread that is not here. */
void metadata_adopt(struct metadata *metadata);
/* A block that can't be unmapped is left behind: it is neither locked nor secret. `metadata` may lie in one. */
void metadata_close(struct metadata *metadata);

#pragma GCC visibility pop

#endif
