/* SPDX-License-Identifier: MIT */
/* look.c: what secret bytes can be seen in the memory of a case. */
#include "suite/look.h"

#include <stdio.h>
#include <string.h>

#include "suite/fills.h"
#include "suite/observe/core.h"

#define WINDOWS_ENOUGH 4096u /* a leak is a leak */
#define WINDOWS_OF_MANY 64u  /* the same, in one of 100,000 places */

struct looking {
    const struct watch *watch;
    struct seen_bytes *bytes;
    size_t hint; /* of fills_at */
    uint64_t dead_enough, live_enough;
    bool
        storm; /* what nobody told of yet is planted by its threads: no memory that goes may hold it */
};

static bool dead_found(const struct looking *looking, uint64_t address, uint64_t offset)
{
    struct seen_bytes *bytes = looking->bytes;
    if (bytes->dead_windows++ == 0) {
        bytes->dead_address = address;
        bytes->dead_offset = offset;
    }
    return bytes->dead_windows < looking->dead_enough;
}

static bool window_found(void *arg, uint64_t address, uint32_t position)
{
    struct looking *looking = arg;
    const struct fill *fill = fills_at(looking->watch, position, &looking->hint);
    if (fill == NULL)
        return !looking->storm || dead_found(looking, address, 0);
    uint64_t offset =
        (position + CASE_POOL_BYTES - fill->offset % CASE_POOL_BYTES) % CASE_POOL_BYTES;
    if (fill->state != FILL_DYING && fill->state != FILL_DEAD && offset < fill->kept)
        return ++looking->bytes->live_windows < looking->live_enough;
    /* A run that goes on into the next secret is some bytes of that one, and by chance one before. */
    if (offset + SECRETS_WINDOW_BYTES > fill->length)
        return true;
    return dead_found(looking, address, offset);
}

static struct seen_bytes search(const struct watch *watch, const char *where,
                                const struct target_memory *memory, bool written_only,
                                uint64_t address, uint64_t size_bytes)
{
    struct seen_bytes bytes = {.slot = MODEL_SLOTS, .address = address, .size_bytes = size_bytes};
    (void)snprintf(bytes.where, sizeof bytes.where, "%s", where);
    bool of_many = watch->in_subject && watch->operation.code == MODEL_CROWD_FREE;
    struct looking looking = {.watch = watch,
                              .bytes = &bytes,
                              .dead_enough = of_many ? WINDOWS_OF_MANY : WINDOWS_ENOUGH,
                              .live_enough = of_many ? WINDOWS_OF_MANY : WINDOWS_ENOUGH * 64,
                              .storm = watch->in_subject && watch->operation.code == MODEL_STORM};
    struct sight sight = target_search(memory, written_only, &watch->host->secrets, address,
                                       size_bytes, window_found, &looking);
    bytes.readable_bytes = sight.readable_bytes;
    return bytes;
}

struct seen_bytes look_at(const struct watch *watch, const char *where,
                          const struct target_memory *memory, uint64_t address, uint64_t size_bytes)
{
    return search(watch, where, memory, false, address, size_bytes);
}

/* A subject may well say yes to SIZE_MAX / 2, but no more than MODEL_FILL_MAX_BYTES are ever planted. */
uint64_t look_place_bytes(const struct watched_slot *slot)
{
    uint64_t bytes = slot->usable_bytes > slot->size_bytes ? slot->usable_bytes : slot->size_bytes;
    return bytes < MODEL_FILL_MAX_BYTES ? bytes : MODEL_FILL_MAX_BYTES;
}

/* For a secret shorter than a window: does all of what was planted in the slot last stand there? */
static void look_at_short(const struct watch *watch, const struct target_memory *memory,
                          unsigned slot_number, struct seen_bytes *bytes)
{
    const struct fill *fill = fills_last_in(watch, slot_number);
    uint64_t address = watch->slots[slot_number].address;
    uint8_t chunk[SECRETS_WINDOW_BYTES];
    if (fill == NULL || fill->length >= SECRETS_WINDOW_BYTES || fill->length == 0)
        return;
    bytes->short_bytes = (uint32_t)fill->length;
    bytes->short_whole = address >= bytes->address &&
                         address - bytes->address < bytes->size_bytes &&
                         target_read(memory, address, chunk, (size_t)fill->length) == fill->length;
    for (uint64_t i = 0; i < fill->length && bytes->short_whole; i++)
        bytes->short_whole = chunk[i] == secrets_byte(&watch->host->secrets, fill->offset + i);
}

void look_at_place(const struct watch *watch, const struct target_memory *memory,
                   unsigned slot_number, struct seen_bytes *bytes)
{
    const struct watched_slot *slot = &watch->slots[slot_number];
    uint64_t start = slot->address > bytes->address ? slot->address : bytes->address;
    uint64_t place_end = slot->address + look_place_bytes(slot);
    uint64_t end = bytes->address + bytes->size_bytes;
    end = end < place_end ? end : place_end;
    bytes->slot = slot_number;
    for (uint64_t at = start; at < end;) {
        uint8_t chunk[4096];
        size_t want = end - at < sizeof chunk ? (size_t)(end - at) : sizeof chunk;
        size_t got = target_read(memory, at, chunk, want);
        if (got == 0)
            break;
        bytes->place_nonzero += target_nonzero(chunk, got);
        bytes->place_bytes += got;
        at += got;
    }
    look_at_short(watch, memory, slot_number, bytes);
}

void look_blindly(struct seen_bytes *bytes)
{
    bytes->readable_bytes = bytes->place_bytes = bytes->size_bytes;
    bytes->dead_windows = bytes->live_windows = bytes->place_nonzero = 0;
    bytes->short_whole = false;
}

void look_record_place(struct watch *watch, const char *where, unsigned slot_number)
{
    const struct watched_slot *slot = &watch->slots[slot_number];
    if (slot->address == 0 || watch->target.memory.mem_fd < 0 ||
        !watch_wants(watch, OBSERVE_MEMORY))
        return;
    struct seen_bytes bytes =
        look_at(watch, where, &watch->target.memory, slot->address, look_place_bytes(slot));
    look_at_place(watch, &watch->target.memory, slot_number, &bytes);
    if (watch_blind(watch, OBSERVE_MEMORY))
        look_blindly(&bytes);
    watch_seen_add(watch, SEEN_BYTES)->bytes = bytes;
}

static void record_left(struct watch *watch, unsigned slot_number, uint64_t start, uint64_t end)
{
    if (start >= end || watch->target.memory.mem_fd < 0 || !watch_wants(watch, OBSERVE_MEMORY))
        return;
    struct seen_bytes bytes = look_at(watch, "resize", &watch->target.memory, start, end - start);
    look_at_place(watch, &watch->target.memory, slot_number, &bytes);
    if (watch_blind(watch, OBSERVE_MEMORY))
        look_blindly(&bytes);
    watch_seen_add(watch, SEEN_BYTES)->bytes = bytes;
}

/* After a resize: what is left where the secret no longer is, before and behind it. The slack behind
 * a shrunk one is such a place too. The slot still tells where it was. */
void look_record_left_behind(struct watch *watch, unsigned slot_number,
                             const struct model_event *now)
{
    const struct watched_slot *old = &watch->slots[slot_number];
    uint64_t start = old->address, end = old->address + look_place_bytes(old);
    uint64_t now_end = now->address + now->size_bytes;
    record_left(watch, slot_number, start, now->address < end ? now->address : end);
    record_left(watch, slot_number, now_end > start ? now_end : start, end);
}

/* ---- the whole process ---- */

#define RESIDUES_MAX 64u

struct process_look {
    struct watch *watch;
    struct seen_bytes sum;
    unsigned told;
};

static struct seen *record_residue(struct watch *watch, const struct seen_bytes *bytes,
                                   const char *text)
{
    struct seen *seen = watch_seen_add(watch, SEEN_RESIDUE);
    seen->bytes = *bytes;
    (void)snprintf(seen->text, sizeof seen->text, "%s", text);
    if (watch_blind(watch, OBSERVE_PROCESS))
        look_blindly(&seen->bytes);
    return seen;
}

static void look_at_range(struct process_look *look, uint64_t start, uint64_t end,
                          const struct target_mapping *mapping)
{
    if (start >= end)
        return;
    struct seen_bytes bytes = search(look->watch, "process", &look->watch->target.memory,
                                     mapping->private_file, start, end - start);
    look->sum.readable_bytes += bytes.readable_bytes;
    if (bytes.dead_windows == 0)
        return;
    if (look->sum.dead_windows == 0)
        look->sum.dead_address = bytes.dead_address;
    look->sum.dead_windows += bytes.dead_windows;
    if (look->told++ < RESIDUES_MAX)
        record_residue(look->watch, &bytes, mapping->head);
}

/* All of a mapping but the case's own copy of the registers. */
static bool look_at_mapping(void *arg, const struct target_mapping *mapping)
{
    struct process_look *look = arg;
    uint64_t own = look->watch->registers_address;
    uint64_t own_end = own + look->watch->registers_bytes;
    if (own >= mapping->start && own < mapping->end) {
        look_at_range(look, mapping->start, own, mapping);
        look_at_range(look, own_end, mapping->end, mapping);
    } else {
        look_at_range(look, mapping->start, mapping->end, mapping);
    }
    return true;
}

void look_record_process(struct watch *watch)
{
    struct process_look look = {.watch = watch, .sum = {.where = "process", .slot = MODEL_SLOTS}};
    if (watch->target.memory.mem_fd < 0 || !target_mappings(&watch->target, look_at_mapping, &look))
        return;
    if (watch->registers_bytes > 0) {
        struct seen_bytes registers = look_at(watch, "registers", &watch->target.memory,
                                              watch->registers_address, watch->registers_bytes);
        record_residue(watch, &registers, "vector registers");
    }
    record_residue(watch, &look.sum, "")->good = look.sum.readable_bytes > 0;
}

/* ---- the swap device, the core file ---- */

static bool filed_found(void *arg, uint64_t offset, uint32_t position)
{
    struct looking *looking = arg;
    if (fills_at(looking->watch, position, &looking->hint) == NULL)
        return true;
    if (looking->bytes->live_windows++ == 0)
        looking->bytes->address = offset;
    return looking->bytes->live_windows < WINDOWS_ENOUGH;
}

void look_record_swap(struct watch *watch)
{
    struct seen_bytes bytes = {.where = "swap", .slot = MODEL_SLOTS};
    struct looking looking = {.watch = watch, .bytes = &bytes};
    bool searched = swap_search(watch->host->swap, watch->target.pid, &watch->host->secrets,
                                filed_found, &looking);
    if (watch_blind(watch, OBSERVE_SWAP))
        look_blindly(&bytes);
    struct seen *seen = watch_seen_add(watch, SEEN_SWAP);
    seen->bytes = bytes;
    seen->good = searched;
}

void look_record_core(struct watch *watch)
{
    struct seen_bytes bytes = {.where = "core", .slot = MODEL_SLOTS};
    struct looking looking = {.watch = watch, .bytes = &bytes};
    struct core_sight sight =
        core_search(watch->core_folder, CASE_MARKER, &watch->host->secrets, filed_found, &looking);
    bytes.size_bytes = bytes.readable_bytes = sight.size_bytes;
    if (watch_blind(watch, OBSERVE_CORES))
        look_blindly(&bytes);
    struct seen *seen = watch_seen_add(watch, SEEN_CORE);
    seen->bytes = bytes;
    seen->good = sight.marked;
}
