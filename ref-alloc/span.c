/* span.c - see span.h: what the kernel is told about one span. */
#include "span.h"

#include "annotate.h"
#include "os.h"
#include "wipe.h"

bool span_protect(struct span *span, uint8_t access)
{
    bool done = os_protect(span->data, span_bytes(span), (enum os_access)access);
    span->access = done ? access : SPAN_ACCESS_UNKNOWN;
    return done;
}

/* Linux copies neither flag to a mapping that replaces another, so this is repeated for such. */
bool span_advise(const struct pool *pool, unsigned char *address, size_t size_bytes)
{
    bool absent = pool->policy.absent_in_child;
    return (pool->policy.allow_core_dump || os_exclude_from_dump(address, size_bytes)) &&
           (absent ? os_absent_on_fork(address, size_bytes) : os_wipe_on_fork(address, size_bytes));
}

static bool counted(const struct pool *pool, bool locked)
{
    if (!locked)
        atomic_fetch_add(&pool->quota->failed_locks, 1);
    return locked;
}

/*
 * First accessible, then locked: mlock over an inaccessible page fails and is charged all the same
 * (mm/mlock.c counts before it populates).
 */
static bool build_from_reserve(const struct pool *pool, struct span *span)
{
    if (!span_protect(span, OS_READ_WRITE))
        return false;
    span->charged = true;
    return counted(pool, os_lock(span->data, span_bytes(span)));
}

/*
 * memfd_secret pages are locked and kept out of core files by their nature (mm/secretmem.c), and refuse
 * MADV_WIPEONFORK. They come one by one at the first touch, which is a SIGBUS where none can be had: so all are
 * had here, before the caller sees any.
 */
static bool build_from_secret_memory(const struct pool *pool, struct span *span)
{
    size_t size_bytes = span_bytes(span);
    if (!counted(pool, os_map_secret_at(span->data, size_bytes)))
        return false;
    span->charged = true;
    span->access = OS_READ_WRITE;
    ANNOTATE_OPEN(span->data, size_bytes);
    if (!os_absent_on_fork(span->data, size_bytes) ||
        !os_populate(span->data, size_bytes, pool->policy.page_bytes))
        return false;
    wipe_bytes(span->data, size_bytes);
    return true;
}

bool span_build(const struct pool *pool, struct span *span)
{
    return pool->policy.secret_memory ? build_from_secret_memory(pool, span)
                                      : build_from_reserve(pool, span);
}

/*
 * Back to reserved address space, from whatever state a failure left. munlock comes even where mlock failed, for
 * the kernel may have charged it. A page that is not discarded is only memory not given back: it is zero.
 */
bool span_unbuild(const struct pool *pool, struct span *span)
{
    size_t size_bytes = span_bytes(span);
    if (span->soiled) {
        if (!span_protect(span, OS_READ_WRITE))
            return false;
        ANNOTATE_OPEN(span->data, size_bytes);
        wipe_bytes(span->data, size_bytes);
        span->soiled = false;
    }
    if (pool->policy.secret_memory) {
        if (!os_reserve_at(span->data, size_bytes))
            return false;
        span->charged = false;
        /* Also if the advices fail: close wipes what it takes for accessible. */
        span->access = OS_NONE;
        return span_advise(pool, span->data, size_bytes);
    }
    if (!span_protect(span, OS_NONE) || !os_unlock(span->data, size_bytes))
        return false;
    span->charged = false;
    os_discard(span->data, size_bytes);
    return true;
}
