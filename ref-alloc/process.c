/* process.c - see process.h. */
#include "process.h"

#include <errno.h>

#include "heap.h"
#include "lock.h"
#include "os.h"

struct process {
    _Atomic size_t locked_bytes;
    struct lock lock; /* of the list */
    struct ref_alloc_heap *newest;
};

/* For the life of the process: heaps come and go, and the sum over all must survive each of them. */
static _Atomic(struct process *) process;

static bool make_process(struct process **made)
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
    *made = (struct process *)(void *)page;
    return true;
}

bool process_prepare(void)
{
    struct process *fresh = NULL, *present = NULL;
    if (atomic_load(&process) != NULL)
        return true;
    if (!make_process(&fresh))
        return false;
    if (!atomic_compare_exchange_strong(&process, &present, fresh))
        os_unmap((unsigned char *)fresh, os_page_bytes());
    return true;
}

_Atomic size_t *process_locked_bytes(void)
{
    return &atomic_load(&process)->locked_bytes;
}

void process_add(struct ref_alloc_heap *heap)
{
    struct process *all = atomic_load(&process);
    lock_take(&all->lock);
    heap->forked->older = all->newest;
    heap->forked->newer = NULL;
    if (all->newest != NULL)
        all->newest->forked->newer = heap;
    all->newest = heap;
    heap->forked->listed = true;
    lock_give(&all->lock);
}

void process_remove(struct ref_alloc_heap *heap)
{
    struct process *all = atomic_load(&process);
    struct forked *links = heap->forked;
    lock_take(&all->lock);
    if (links->listed) {
        if (links->newer != NULL)
            links->newer->forked->older = links->older;
        else
            all->newest = links->older;
        if (links->older != NULL)
            links->older->forked->newer = links->newer;
        links->listed = false;
    }
    lock_give(&all->lock);
}

bool process_visit(const struct ref_alloc_heap *except, bool (*visit)(struct ref_alloc_heap *heap))
{
    bool done = false;
    struct process *all = atomic_load(&process);
    if (all == NULL) /* no heap ever was: who aborts for want of one has none to wipe */
        return false;
    lock_take(&all->lock);
    for (struct ref_alloc_heap *heap = all->newest; heap != NULL && !done;
         heap = heap->forked->older)
        done = heap != except && visit(heap);
    lock_give(&all->lock);
    return done;
}
