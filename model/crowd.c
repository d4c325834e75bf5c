/* SPDX-License-Identifier: MIT */
/*
 * crowd.c: many secrets at once, without names. They are kept in the shadow's crowd, which lies in
 * a mapping made before the program starts: no memory call is made while one grows.
 */
#include <errno.h>
#include <sys/resource.h>
#include <time.h>

#include "machine.h"

/* One more. False if alloc said no or its memory is bad; the event says which. */
static bool member_add(struct machine *m, size_t size_bytes)
{
    errno = 0;
    void *p = m->variant->alloc(m->context, size_bytes);
    if (p == NULL) {
        machine_refused(m, errno);
        return false;
    }
    m->event.address = (uintptr_t)p;
    shadow_crowd_add(&m->shadow, (uintptr_t)p, size_bytes, 0);
    struct shadow_secret *member = &m->shadow.crowd[m->shadow.crowd_count - 1];
    if (size_bytes > MODEL_FILL_MAX_BYTES)
        return true;
    if (!machine_plant(m, p, size_bytes))
        return false;
    member->fill = m->event.slot_fill;
    member->known_bytes = size_bytes;
    return true;
}

/* `full` is over, too, when more bytes have been handed out than the limit lets one lock. */
static size_t enough_to_be_full(size_t size_bytes)
{
    struct rlimit limit = {0};
    (void)getrlimit(RLIMIT_MEMLOCK, &limit);
    rlim_t count = size_bytes == 0 ? MODEL_CROWD_FULL_MAX : limit.rlim_cur / size_bytes + 1;
    return count < MODEL_CROWD_FULL_MAX ? (size_t)count : MODEL_CROWD_FULL_MAX;
}

/* By the vDSO: no system call. */
static uint64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void machine_crowd(struct machine *m)
{
    size_t size_bytes = (size_t)m->event.size_bytes;
    size_t room = MODEL_CROWD_MAX - m->shadow.crowd_count;
    size_t wanted = m->operation->arg == MODEL_CROWD_FULL ? enough_to_be_full(size_bytes)
                                                          : (size_t)1 << m->operation->arg;
    if (room == 0) {
        machine_skipped(m);
        return;
    }
    uint64_t until_ms = now_ms() + MODEL_CROWD_MS;
    for (size_t added = 0; added < wanted && added < room; added++) {
        if (!member_add(m, size_bytes))
            break;
        if (added >= MODEL_CROWD_LEAST && added % 64 == 0 && now_ms() > until_ms)
            break;
    }
    m->event.count = m->shadow.crowd_count;
}

/* Small secrets share pages: what was seen of the last page need not be asked again. */
struct look {
    uintptr_t last_page;
    bool last_locked;
};

static bool member_locked(const struct machine *m, const struct shadow_secret *member,
                          struct look *look)
{
    struct machine_pages pages = machine_pages(m, member->address, member->size_bytes);
    for (size_t i = 0; i < pages.count; i++) {
        uintptr_t page = pages.first + i * m->host->page_bytes;
        if (page != look->last_page) {
            look->last_page = page;
            look->last_locked = machine_page_locked(m, page);
        }
        if (!look->last_locked)
            return false;
    }
    return true;
}

static bool member_whole(const struct machine *m, const struct shadow_secret *member)
{
    return member->fill == 0 ||
           m->host->matches(m->host->arg, member->fill, (const void *)member->address,
                            member->known_bytes);
}

void machine_crowd_look(struct machine *m)
{
    struct look look = {.last_page = UINTPTR_MAX};
    bool known = machine_pageout_known();
    m->event.count = m->shadow.crowd_count;
    m->event.count_locked = known ? 0 : UINT64_MAX;
    if (m->host->match_many != NULL)
        m->event.count_good =
            m->host->match_many(m->host->arg, m->shadow.crowd, m->shadow.crowd_count);
    for (size_t i = 0; i < m->shadow.crowd_count; i++) {
        const struct shadow_secret *member = &m->shadow.crowd[i];
        if (m->host->match_many == NULL)
            m->event.count_good += member_whole(m, member);
        if (known)
            m->event.count_locked += member_locked(m, member, &look);
    }
}

void machine_crowd_free(struct machine *m)
{
    size_t count = m->shadow.crowd_count;
    size_t step = m->operation->arg == MODEL_EVERY_OTHER ? 2 : 1;
    for (size_t i = 0; i < count; i += step) {
        size_t index = m->operation->arg == MODEL_LAST ? count - 1 - i : i;
        const struct shadow_secret *member = &m->shadow.crowd[index];
        m->variant->free(m->context, (void *)member->address, member->size_bytes);
        shadow_crowd_forget(&m->shadow, index);
    }
    shadow_crowd_close_gaps(&m->shadow);
    m->event.count = m->shadow.crowd_count;
}
