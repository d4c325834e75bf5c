/* SPDX-License-Identifier: MIT */
/*
 * counters.c: see counters.h. libFuzzer takes whatever lies in a section of this name for counters.
 * AFL++ gets the same as edges: each case of the switch in edges.c is one.
 */
#include "fuzz/counters.h"

#include "fuzz/edges.h"

__attribute__((section("__libfuzzer_extra_counters"), used)) static uint8_t counters[FEATURES];
static unsigned previous;

void features_fresh(void)
{
    previous = MODEL_CODES;
}

static void hit(unsigned feature)
{
    uint8_t *counter = &counters[feature % FEATURES];
    if (*counter < UINT8_MAX)
        ++*counter;
    feature_edge(feature);
}

/* 0, then one class per doubling up to 2^20, then the rest. */
static unsigned size_class(uint64_t size_bytes)
{
    unsigned log2 = size_bytes == 0 ? 0 : 64u - (unsigned)__builtin_clzll(size_bytes);
    return log2 < 21 ? log2 / 2 : 11;
}

void features_note(const struct model_operation *operation, const struct model_event *event)
{
    unsigned code = operation->code, outcome = event->outcome;
    unsigned kinds = MODEL_DIED + 1, classes = 12;
    hit((code * kinds + outcome) * classes + size_class(event->size_bytes));
    hit(MODEL_CODES * kinds * classes + code * (MODEL_CODES + 1) + previous);
    previous = code;
}
