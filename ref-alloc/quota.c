/* quota.c - see quota.h. */
#include "quota.h"

#include <errno.h>

#include "os.h"
#include "process.h"

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
    if (!take(process_locked_bytes(), size_bytes, limit_bytes)) {
        atomic_fetch_sub(&quota->locked_bytes, size_bytes);
        return false;
    }
    raise_high_water(quota);
    return true;
}

bool quota_is_within_budget(struct quota *quota, size_t budget_bytes, size_t size_bytes)
{
    size_t own_bytes = atomic_load(&quota->locked_bytes);
    return size_bytes <= budget_bytes && own_bytes <= budget_bytes - size_bytes;
}

bool quota_has(struct quota *quota, size_t budget_bytes, size_t size_bytes)
{
    size_t limit_bytes, all_bytes = atomic_load(process_locked_bytes());
    return quota_is_within_budget(quota, budget_bytes, size_bytes) && os_lock_limit(&limit_bytes) &&
           size_bytes <= limit_bytes && all_bytes <= limit_bytes - size_bytes;
}

void quota_give(struct quota *quota, size_t size_bytes)
{
    atomic_fetch_sub(&quota->locked_bytes, size_bytes);
    atomic_fetch_sub(process_locked_bytes(), size_bytes);
}
