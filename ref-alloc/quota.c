/* quota.c - see quota.h. */
#include "quota.h"

#include <errno.h>

#include "os.h"

struct process_count {
    _Atomic size_t locked_bytes;
};

/* One page for the life of the process: heaps come and go, and the sum over all must survive each of them. */
static _Atomic(struct process_count *) process;

static bool make_process_count(struct process_count **count)
{
    unsigned char *page;
    size_t page_bytes = os_page_bytes();
    if (!os_reserve(page_bytes, &page))
        return false;
    if (!os_wipe_on_fork(page, page_bytes) || !os_protect(page, page_bytes, OS_READ_WRITE)) {
        int saved = errno;
        os_unmap(page, page_bytes);
        errno = saved;
        return false;
    }
    *count = (struct process_count *)page;
    return true;
}

bool quota_prepare(void)
{
    struct process_count *fresh = NULL, *present = NULL;
    if (atomic_load(&process) != NULL)
        return true;
    if (!make_process_count(&fresh))
        return false;
    if (!atomic_compare_exchange_strong(&process, &present, fresh))
        os_unmap((unsigned char *)fresh, os_page_bytes());
    return true;
}

static bool take(_Atomic size_t *count, size_t size_bytes, size_t limit_bytes)
{
    size_t seen = atomic_load_explicit(count, memory_order_relaxed);
    do {
        if (size_bytes > limit_bytes || seen > limit_bytes - size_bytes)
            return false;
    } while (!atomic_compare_exchange_weak(count, &seen, seen + size_bytes));
    return true;
}

static void raise_high_water(struct quota *quota)
{
    size_t locked_bytes = atomic_load(&quota->locked_bytes);
    size_t seen = atomic_load(&quota->high_water_bytes);
    while (seen < locked_bytes &&
           !atomic_compare_exchange_weak(&quota->high_water_bytes, &seen, locked_bytes))
        ;
}

bool quota_take(struct quota *quota, size_t budget_bytes, size_t size_bytes)
{
    size_t limit_bytes;
    if (!os_lock_limit(&limit_bytes))
        return false;
    errno = ENOMEM;
    if (!take(&quota->locked_bytes, size_bytes, budget_bytes))
        return false;
    if (!take(&atomic_load(&process)->locked_bytes, size_bytes, limit_bytes)) {
        atomic_fetch_sub(&quota->locked_bytes, size_bytes);
        return false;
    }
    raise_high_water(quota);
    return true;
}

bool quota_has(struct quota *quota, size_t budget_bytes, size_t size_bytes)
{
    size_t limit_bytes, own_bytes = atomic_load(&quota->locked_bytes);
    size_t all_bytes = atomic_load(&atomic_load(&process)->locked_bytes);
    return size_bytes <= budget_bytes && own_bytes <= budget_bytes - size_bytes &&
           os_lock_limit(&limit_bytes) && size_bytes <= limit_bytes &&
           all_bytes <= limit_bytes - size_bytes;
}

void quota_give(struct quota *quota, size_t size_bytes)
{
    atomic_fetch_sub(&quota->locked_bytes, size_bytes);
    atomic_fetch_sub(&atomic_load(&process)->locked_bytes, size_bytes);
}
