/* SPDX-License-Identifier: MIT */
/* edges.c: see edges.h. */
#include "fuzz/edges.h"

#ifdef FUZZ_FEATURE_EDGES
static volatile unsigned sink;

/* The stores differ, so that no two cases become one. */
#define EDGE(n)        \
    case (n):          \
        sink = (n)*3u; \
        break;
#define EDGES_8(n) \
    EDGE(n)        \
    EDGE((n) + 1)  \
    EDGE((n) + 2) EDGE((n) + 3) EDGE((n) + 4) EDGE((n) + 5) EDGE((n) + 6) EDGE((n) + 7)
#define EDGES_64(n)   \
    EDGES_8(n)        \
    EDGES_8((n) + 8)  \
    EDGES_8((n) + 16) \
    EDGES_8((n) + 24) EDGES_8((n) + 32) EDGES_8((n) + 40) EDGES_8((n) + 48) EDGES_8((n) + 56)

void feature_edge(unsigned feature)
{
    switch ((feature ^ feature >> 9) % 512u) {
        EDGES_64(0)
        EDGES_64(64)
        EDGES_64(128)
        EDGES_64(192)
        EDGES_64(256)
        EDGES_64(320)
        EDGES_64(384)
        EDGES_64(448)
    default:
        break;
    }
}
#endif
