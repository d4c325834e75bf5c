/*
 * allocator.h - what the benchmark asks of an allocator. One table each, in allocators.c (and botan.cpp).
 */
#ifndef ALLOCATOR_H
#define ALLOCATOR_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What it is there for in the comparison. */
enum role { ROLE_OURS, ROLE_PEER, ROLE_UNPROTECTED, ROLE_FLOOR };

struct need {
    size_t size_bytes;  /* of each secret */
    size_t live;        /* how many at once */
    size_t limit_bytes; /* of a pool that wants to know; 0: as large as it takes */
};

struct allocator {
    const char *name;
    enum role role;
    bool (*open)(const struct need *need); /* NULL: nothing to do */
    void *(*allocate)(size_t size_bytes);
    void (*release)(void *secret, size_t size_bytes);
};

/* All that were found when this was built; NULL at the end. */
extern const struct allocator *const allocators[];

/* In botan.cpp: its pool has no C interface. */
bool botan_open(const struct need *need);
void *botan_allocate(size_t size_bytes);
void botan_release(void *secret, size_t size_bytes);

#ifdef __cplusplus
}
#endif

#endif
