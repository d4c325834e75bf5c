/* SPDX-License-Identifier: MIT */
/*
 * id: wrapped-fork-handler
 * what: secrets are kept from a child by a handler of pthread_atfork, which a raw clone does not run
 * models: -
 * base: control-correct
 * must: fork
 * may: fault-hygiene
 * fuzz: yes
 * trigger: open; alloc s0 32; fill s0; fork raw
 * shows: the child can read s0
 */
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "wrapper.h"

#define KEEP_ON_FORK 19 /* MADV_KEEPONFORK: takes MADV_WIPEONFORK back */
#define LIVE_MAX 4096u

static struct {
    void *p;
    size_t n;
} live[LIVE_MAX];

static void wipe_in_child(void)
{
    for (unsigned i = 0; i < LIVE_MAX; i++)
        if (live[i].p != NULL && mprotect(live[i].p, live[i].n, PROT_READ | PROT_WRITE) == 0)
            explicit_bzero(live[i].p, live[i].n);
}

static void *allocate(void *context, size_t size_bytes)
{
    unsigned char *secret = base->alloc(context, size_bytes);
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE), before = (uintptr_t)secret % page_bytes;
    for (unsigned i = 0; secret != NULL && i < LIVE_MAX; i++) {
        if (live[i].p != NULL)
            continue;
        live[i].p = secret - before;
        live[i].n = before + size_bytes;
        madvise(live[i].p, live[i].n, KEEP_ON_FORK);
        break;
    }
    return secret;
}

static void release(void *context, void *secret, size_t size_bytes)
{
    size_t before = (uintptr_t)secret % (size_t)sysconf(_SC_PAGESIZE);
    for (unsigned i = 0; i < LIVE_MAX; i++)
        if (live[i].p == (unsigned char *)secret - before)
            live[i].p = NULL;
    base->free(context, secret, size_bytes);
}

static int start(const struct secret_config *config, void **context)
{
    static int registered;
    if (!registered++)
        pthread_atfork(NULL, NULL, wipe_in_child);
    memset(live, 0, sizeof live);
    return base->open(config, context);
}

static void change(struct secret_alloc *table)
{
    table->flags &= ~(uint32_t)SECRET_ALLOC_THREAD_SAFE;
    table->open = start;
    table->alloc = allocate;
    table->free = release;
}
