/* SPDX-License-Identifier: MIT */
/*
 * look.h: looks at the memory of a case for secret bytes, and writes down what was seen.
 */
#ifndef SUITE_LOOK_H
#define SUITE_LOOK_H

#include "suite/watch.h"

/* Runs of secret bytes in a range of memory, by whose they are. memory: of the case or a child. */
struct seen_bytes look_at(const struct watch *watch, const char *where,
                          const struct target_memory *memory, uint64_t address,
                          uint64_t size_bytes);
/* Adds how much of a slot's own place lies in the range looked at, what of it is not zero, and
 * whether a secret shorter than a window still stands there whole. */
void look_at_place(const struct watch *watch, const struct target_memory *memory,
                   unsigned slot_number, struct seen_bytes *bytes);
/* What a blind observer would say: looked at all of it, all is well. */
void look_blindly(struct seen_bytes *bytes);
/* What of a secret's place can hold secret bytes. */
uint64_t look_place_bytes(const struct watched_slot *slot);

/* SEEN_BYTES of the place of a slot. */
void look_record_place(struct watch *watch, const char *where, unsigned slot_number);
/* SEEN_BYTES of what a resize left before and behind the new place. */
void look_record_left_behind(struct watch *watch, unsigned slot_number,
                             const struct model_event *now);
/* SEEN_RESIDUE of the whole process: one for each mapping with bytes of dead secrets, one for the
 * vector registers as the subject left them, and the last one with the sums. */
void look_record_process(struct watch *watch);

/* SEEN_SWAP: what of this case's secrets stands on the swap device once all was pushed out. */
void look_record_swap(struct watch *watch);

/* SEEN_CORE: what of this case's secrets stands in the core file that it left. */
void look_record_core(struct watch *watch);

#endif
