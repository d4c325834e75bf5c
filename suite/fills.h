/* SPDX-License-Identifier: MIT */
/*
 * fills.h: the secrets of a case: where each was planted, and whether it is alive, dying or dead.
 */
#ifndef SUITE_FILLS_H
#define SUITE_FILLS_H

#include "suite/watch.h"

/* A secret was planted in the slot of the operation under way. */
void fills_planted(struct watch *watch, const struct case_message *message);
/* A crowd grew, or a storm is over: secrets of one size that lie behind each other in the pool. */
void fills_planted_many(struct watch *watch, uint64_t size_bytes, uint64_t pool_next,
                        enum fill_state state);

/* The secret that a position in the pool belongs to; NULL: to none of this case's. *hint is where the one
 * before was found, 0 at first: a search meets positions in order, and there may be 100,000 secrets. */
const struct fill *fills_at(const struct watch *watch, uint32_t position, size_t *hint);
/* The fill of that number; fills that failed left no entry, so it may stand further down. */
const struct fill *fills_numbered(const struct watch *watch, uint32_t number);
/* What is alive, or being freed, in the slot; NULL: nothing. */
struct fill *fills_alive_in(const struct watch *watch, unsigned slot);
/* What was planted in the slot last, alive or not. */
const struct fill *fills_last_in(const struct watch *watch, unsigned slot);

/* What is alive, or being freed: in one slot, or anywhere. */
void fills_become_in(struct watch *watch, unsigned slot, enum fill_state state);
void fills_become(struct watch *watch, enum fill_state state);
/* All of the crowd was freed. */
void fills_crowd_dead(struct watch *watch);

#endif
