/* SPDX-License-Identifier: MIT */
/* fills.c: which secret stands where, and which of them are alive. */
#include "suite/fills.h"

#include <stdlib.h>

static struct fill *fills_add(struct watch *watch)
{
    if (watch->fills_count == watch->fills_room) {
        watch->fills_room = watch->fills_room * 2 + 16;
        struct fill *more = realloc(watch->fills, watch->fills_room * sizeof *more);
        if (more == NULL)
            abort();
        watch->fills = more;
    }
    return &watch->fills[watch->fills_count++];
}

static bool covers(const struct watch *watch, size_t i, uint64_t offset)
{
    return i < watch->fills_count && offset >= watch->fills[i].offset &&
           offset - watch->fills[i].offset < watch->fills[i].length;
}

const struct fill *fills_at(const struct watch *watch, uint32_t position, size_t *hint)
{
    uint64_t offset =
        watch->pool_start + (position + CASE_POOL_BYTES - watch->pool_start) % CASE_POOL_BYTES;
    if (offset >= watch->pool_next)
        return NULL;
    /* Where the pool was used more than once around, the last use counts. */
    offset += (watch->pool_next - 1 - offset) / CASE_POOL_BYTES * CASE_POOL_BYTES;
    if (!covers(watch, *hint, offset) && covers(watch, *hint + 1, offset))
        ++*hint;
    if (covers(watch, *hint, offset))
        return &watch->fills[*hint];
    size_t low = 0, high = watch->fills_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (watch->fills[middle].offset + watch->fills[middle].length <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    *hint = low;
    return low < watch->fills_count ? &watch->fills[low] : NULL;
}

struct fill *fills_alive_in(const struct watch *watch, unsigned slot)
{
    for (size_t i = watch->fills_count; i-- > 0;)
        if (watch->fills[i].slot == slot && watch->fills[i].state <= FILL_DYING)
            return &watch->fills[i];
    return NULL;
}

const struct fill *fills_last_in(const struct watch *watch, unsigned slot)
{
    for (size_t i = watch->fills_count; i-- > 0;)
        if (watch->fills[i].slot == slot)
            return &watch->fills[i];
    return NULL;
}

void fills_become_in(struct watch *watch, unsigned slot, enum fill_state state)
{
    for (size_t i = 0; i < watch->fills_count; i++)
        if (watch->fills[i].slot == slot && watch->fills[i].state <= FILL_DYING)
            watch->fills[i].state = state;
}

void fills_become(struct watch *watch, enum fill_state state)
{
    for (size_t i = 0; i < watch->fills_count; i++)
        if (watch->fills[i].state <= FILL_DYING)
            watch->fills[i].state = state;
}

void fills_crowd_dead(struct watch *watch)
{
    for (size_t i = 0; i < watch->fills_count; i++)
        if (watch->fills[i].state == FILL_CROWD)
            watch->fills[i].state = FILL_DEAD;
}

void fills_planted(struct watch *watch, const struct case_message *message)
{
    /* what stood there is overwritten */
    fills_become_in(watch, watch->operation.slot, FILL_DEAD);
    *fills_add(watch) = (struct fill){.number = message->fill,
                                      .offset = message->pool_offset,
                                      .length = message->size_bytes,
                                      .kept = message->size_bytes,
                                      .address = message->address,
                                      .slot = watch->operation.slot,
                                      .state = FILL_LIVE};
    watch->pool_next = message->pool_offset + message->size_bytes;
}

void fills_planted_many(struct watch *watch, uint64_t size_bytes, uint64_t pool_next,
                        enum fill_state state)
{
    uint32_t number = watch->fills_count > 0 ? watch->fills[watch->fills_count - 1].number : 0;
    for (uint64_t at = watch->pool_next; size_bytes > 0 && at + size_bytes <= pool_next;
         at += size_bytes)
        *fills_add(watch) = (struct fill){.number = ++number,
                                          .offset = at,
                                          .length = size_bytes,
                                          .kept = size_bytes,
                                          .slot = MODEL_SLOTS,
                                          .state = state};
    watch->pool_next = pool_next;
}

const struct fill *fills_numbered(const struct watch *watch, uint32_t number)
{
    size_t i = number < watch->fills_count ? number : watch->fills_count;
    while (i > 0 && watch->fills[i - 1].number > number)
        i--;
    return i > 0 && watch->fills[i - 1].number == number ? &watch->fills[i - 1] : NULL;
}
