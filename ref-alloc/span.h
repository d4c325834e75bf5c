/*
 * span.h - what the kernel is told about one span: the only code that makes memory lockable, locked, or neither.
 *
 *     build     reserved address space --> read-write, locked, not dumped, wiped or absent in a child, zero
 *     unbuild   the way back, from wherever a failure left it
 *
 * The advices on dump and fork belong to the address space: they are given once, when it is reserved.
 */
#ifndef SPAN_H
#define SPAN_H

#include "pool.h"

#pragma GCC visibility push(hidden)

#define SPAN_ACCESS_UNKNOWN 0xff

/* Changes what the processor allows on the data pages. false and errno: what it allows now is unknown. */
bool span_protect(struct span *span, uint8_t access);
/* The policy's advices for a piece of reserved address space. false and errno. */
bool span_advise(const struct pool *pool, unsigned char *address, size_t size_bytes);
/* false and errno: it is half built, and must be unbuilt. */
bool span_build(const struct pool *pool, struct span *span);
/* false and errno: still half built. */
bool span_unbuild(const struct pool *pool, struct span *span);

#pragma GCC visibility pop

#endif
