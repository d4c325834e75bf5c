/* guarded.h - the placement that gives each secret a span of its own. layout.h has the picture. */
#ifndef GUARDED_H
#define GUARDED_H

#include "heap.h"

#pragma GCC visibility push(hidden)

/* NULL and errno. */
void *guarded_allocate(struct ref_alloc_heap *heap, size_t size_bytes, size_t align_bytes);
/* The message for `fatal` if `secret` is not the start of the living secret in this span. Changes nothing. */
const char *guarded_check_pointer(const struct span *span, const void *secret);
/* Wipes the secret and gives its span back. The message, of a damaged canary too; NULL if all was well. errno is kept. */
const char *guarded_free(struct ref_alloc_heap *heap, struct span *span, void *secret);
/* In place if the length of the span stays the same: true, and where the secret is now. */
bool guarded_resize(struct ref_alloc_heap *heap, struct span *span, size_t new_size_bytes,
                    void **secret);
/* The message if what surrounds the living secret was written to. The span must be readable. */
const char *guarded_check_canary(const struct ref_alloc_heap *heap, const struct span *span);

#pragma GCC visibility pop

#endif
