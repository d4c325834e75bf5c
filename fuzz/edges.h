/* SPDX-License-Identifier: MIT */
/* edges.h: a feature as an edge of the program, for engines that know nothing else. */
#ifndef FUZZ_EDGES_H
#define FUZZ_EDGES_H

#ifdef FUZZ_FEATURE_EDGES
/* Takes an edge of its own for each of 512 values, to which feature is reduced. */
void feature_edge(unsigned feature);
#else
static inline void feature_edge(unsigned feature)
{
    (void)feature;
}
#endif

#endif
