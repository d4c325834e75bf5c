/* SPDX-License-Identifier: MIT */
/*
 * contents.c: operations on the bytes of a secret and the pages that hold them.
 */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>

#include "machine.h"
#include "raw.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

bool machine_plant(struct machine *m, void *p, size_t size_bytes)
{
    m->event.slot_fill = ++m->fills;
    if (m->host->plant(m->host->arg, m->event.slot_fill, p, size_bytes))
        return true;
    machine_trapped(m, &(struct trap_fault){.signal = SIGSEGV, .address = (uintptr_t)p});
    return false;
}

void machine_fill(struct machine *m)
{
    bool all = (m->operation->arg & MODEL_FILL_USABLE) != 0;
    uint64_t bytes = all ? m->event.usable_bytes : m->event.size_bytes;
    if (bytes > MODEL_FILL_MAX_BYTES || machine_slot(m)->access != SECRET_ACCESS_READ_WRITE) {
        machine_skipped(m);
        return;
    }
    if (machine_plant(m, (void *)(uintptr_t)m->event.address, (size_t)bytes))
        m->event.count = bytes;
}

void machine_check(struct machine *m)
{
    const struct shadow_secret *slot = machine_slot(m);
    if (slot->fill == 0 || slot->access == SECRET_ACCESS_NONE) {
        machine_skipped(m);
        return;
    }
    m->event.count = slot->known_bytes;
    m->event.count_good =
        m->host->matches(m->host->arg, slot->fill, (const void *)slot->address, slot->known_bytes);
}

/* Nothing is done: it is the observer who looks, between begin and end. */
void machine_peek(struct machine *m)
{
    m->event.count = machine_slot(m)->address != 0;
}

/* -------------------------------------------------------------------------------------- pages */

struct machine_pages machine_pages(const struct machine *m, uintptr_t address, size_t size_bytes)
{
    uintptr_t mask = ~(uintptr_t)(m->host->page_bytes - 1);
    struct machine_pages pages = {.first = address & mask};
    if (size_bytes > 0)
        pages.count = (((address + size_bytes - 1) & mask) - pages.first) / m->host->page_bytes + 1;
    return pages;
}

bool machine_page_locked(const struct machine *m, uintptr_t page)
{
    return raw_call3(SYS_madvise, page, m->host->page_bytes, MADV_PAGEOUT) == -EINVAL;
}

bool machine_pageout_known(void)
{
    /* For no bytes at all the kernel checks only whether it knows the advice. */
    return raw_call3(SYS_madvise, 0, 0, MADV_PAGEOUT) == 0;
}

void machine_look(struct machine *m)
{
    struct machine_pages pages =
        machine_pages(m, (uintptr_t)m->event.address, (size_t)m->event.size_bytes);
    bool known = machine_pageout_known();
    m->event.count = pages.count;
    m->event.count_locked = known ? 0 : UINT64_MAX;
    for (size_t i = 0; known && i < pages.count; i++)
        m->event.count_locked += machine_page_locked(m, pages.first + i * m->host->page_bytes);
}
