/* SPDX-License-Identifier: MIT */
/*
 * afl_mutator.c: mutate.c as a custom mutator of AFL++ (a shared object): changes, splices, trims.
 *
 * The seed of each call is the one of the instance plus the number of the call; a splice where there is something to
 * splice with and the seed is a multiple of SPLICE_ONE_IN.
 */
#include "fuzz/afl_mutator.h"

#include <stdbool.h>
#include <stdlib.h>

#include "fuzz/mutate.h"
#include "model/program.h"

#define BYTES_MAX ((MUTATE_OPERATIONS_MAX + 1) * MODEL_RECORD_BYTES)

struct mutator {
    uint64_t seed;
    uint8_t out[BYTES_MAX];
    /* Trimming: operations are taken out, `step` of them at a time, then half as many. */
    uint8_t trimmed[MODEL_OPERATIONS_MAX * MODEL_RECORD_BYTES + MODEL_RECORD_BYTES];
    size_t trimmed_bytes, at, step, taken_bytes;
    uint8_t taken[MODEL_OPERATIONS_MAX * MODEL_RECORD_BYTES + MODEL_RECORD_BYTES];
    int calls;
};

void *afl_custom_init(void *afl, unsigned int seed)
{
    struct mutator *m = calloc(1, sizeof *m);
    (void)afl;
    if (m != NULL)
        m->seed = seed;
    return m;
}

void afl_custom_deinit(void *data)
{
    free(data);
}

size_t afl_custom_fuzz(void *data, uint8_t *bytes, size_t count_bytes, uint8_t **out,
                       uint8_t *other, size_t other_bytes, size_t bytes_max)
{
    struct mutator *m = data;
    size_t room = bytes_max < sizeof m->out ? bytes_max : sizeof m->out;
    uint64_t seed = m->seed++;
    *out = m->out;
    if (other != NULL && seed % SPLICE_ONE_IN == 0)
        return mutate_splice(bytes, count_bytes, other, other_bytes, m->out, room, seed);
    return mutate(bytes, count_bytes, m->out, room, seed);
}

/* ---- trimming ---- */

static size_t steps_left(const struct mutator *m)
{
    size_t count = mutate_count(m->trimmed, m->trimmed_bytes), left = 0;
    for (size_t step = m->step; step > 0; step /= 2)
        left += (count + step - 1) / step;
    return left;
}

int32_t afl_custom_init_trim(void *data, uint8_t *bytes, size_t count_bytes)
{
    struct mutator *m = data;
    m->trimmed_bytes = mutate_without(bytes, count_bytes, 0, 0, m->trimmed, sizeof m->trimmed);
    m->at = 0;
    m->step = (mutate_count(m->trimmed, m->trimmed_bytes) + 1) / 2;
    m->calls = 0;
    return (int32_t)steps_left(m);
}

size_t afl_custom_trim(void *data, uint8_t **out)
{
    struct mutator *m = data;
    m->taken_bytes =
        mutate_without(m->trimmed, m->trimmed_bytes, m->at, m->step, m->taken, sizeof m->taken);
    *out = m->taken;
    return m->taken_bytes;
}

/* Returns the number of the next step; as many as were announced: AFL++ is done. */
int32_t afl_custom_post_trim(void *data, unsigned char same)
{
    struct mutator *m = data;
    if (same) {
        m->trimmed_bytes = m->taken_bytes;
        for (size_t i = 0; i < m->taken_bytes; i++)
            m->trimmed[i] = m->taken[i];
    } else {
        m->at += m->step;
    }
    if (m->at >= mutate_count(m->trimmed, m->trimmed_bytes)) {
        m->at = 0;
        m->step /= 2;
    }
    m->calls++;
    return m->step == 0 ? INT32_MAX : m->calls;
}
