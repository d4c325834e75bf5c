/* SPDX-License-Identifier: MIT */
/* toy.c: see toy.h. */
#include "toy.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cmocka_all.h"

struct toy toy;
struct record record;
int record_to;

/* --------------------------------------------------------------------------------- the allocator */

static void toy_handler(int number)
{
    toy.handlers_run++;
    _exit(100 + number);
}

static int toy_open(const struct secret_config *config, void **context)
{
    toy.opened++;
    toy.config = *config;
    toy.process = (long)getpid();
    if (toy.own_handlers)
        signal(SIGSEGV, toy_handler);
    *context = &toy;
    return toy.error;
}

static size_t find(const void *p)
{
    for (size_t i = 0; i < toy.live_count; i++)
        if (toy.live[i].p == p)
            return i;
    return toy.live_count;
}

static void *refuse(void)
{
    if (toy.refuse_errno >= 0)
        errno = toy.refuse_errno;
    toy.locked_bytes += toy.locked_step;
    return NULL;
}

static void misbehave_in_child(void)
{
    if ((long)getpid() == toy.process)
        return;
    if (toy.crash_in_child)
        raise(SIGSEGV);
    while (toy.hang_in_child)
        pause();
}

static void *toy_aligned(size_t align, size_t size)
{
    size_t pages = size / TOY_PAGE + 1, map_bytes = (pages + 2) * TOY_PAGE;
    misbehave_in_child();
    toy.thread = syscall(SYS_gettid);
    if (size > (size_t)1 << 28 || align > TOY_PAGE || toy.live_count >= toy.room)
        return refuse();
    char *map = mmap(NULL, map_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(map, MAP_FAILED);
    assert_int_equal(mprotect(map + TOY_PAGE, pages * TOY_PAGE, PROT_READ | PROT_WRITE), 0);
    /* Not libc's mlock, which does nothing under a sanitizer. */
    toy.unlocked += syscall(SYS_mlock, map + TOY_PAGE, pages * TOY_PAGE) != 0;
    size_t slot = (size + align - 1) / align * align;
    char *p = map + TOY_PAGE + pages * TOY_PAGE - slot - toy.misplace_bytes;
    toy.live[toy.live_count].p = p;
    toy.live[toy.live_count].map = map;
    toy.live[toy.live_count].size = size;
    toy.live[toy.live_count++].map_bytes = map_bytes;
    toy.locked_bytes += pages * TOY_PAGE;
    toy.last_size = size;
    return p;
}

static void *toy_alloc_aligned(void *context, size_t align, size_t size)
{
    (void)context;
    return toy_aligned(align, size);
}

static void *toy_alloc(void *context, size_t size)
{
    (void)context;
    return toy_aligned(16, size);
}

static void unknown(void)
{
    switch (toy.bad) {
    case TOY_FATAL:
        toy.config.fatal(toy.config.fatal_arg, "not\nmine");
        break;
    case TOY_ABORT:
        abort();
    case TOY_CRASH:
        raise(SIGBUS);
        break;
    case TOY_IGNORE:
        break;
    }
}

static void toy_free(void *context, void *p, size_t size)
{
    size_t i = find(p);
    (void)context;
    if (toy.fatal_in_child && (long)getpid() != toy.process)
        toy.config.fatal(toy.config.fatal_arg, "in a child");
    if (i == toy.live_count || toy.live[i].size != size) {
        unknown();
        return;
    }
    if (toy.first_freed == NULL)
        toy.first_freed = p;
    toy.locked_bytes -= toy.live[i].map_bytes - 2 * TOY_PAGE;
    munmap(toy.live[i].map, toy.live[i].map_bytes);
    toy.live[i] = toy.live[--toy.live_count];
    if (toy.spill && toy.live_count > 0)
        *(volatile char *)toy.live[0].p ^= 1;
}

static int toy_close(void *context)
{
    (void)context;
    toy.closed++;
    for (size_t i = 0; i < toy.live_count; i++)
        munmap(toy.live[i].map, toy.live[i].map_bytes);
    toy.live_count = 0;
    toy.locked_bytes = 0;
    return toy.error;
}

static void *toy_resize(void *context, void *p, size_t old_size, size_t new_size)
{
    toy.last_old_size = old_size;
    void *new = toy_alloc(context, new_size);
    if (new == NULL)
        return NULL;
    memcpy(new, p, old_size < new_size ? old_size : new_size);
    toy_free(context, p, old_size);
    return new;
}

static size_t toy_usable(void *context, const void *p)
{
    size_t i = find(p);
    (void)context;
    return i == toy.live_count ? 0 : (toy.live[i].size + 15) / 16 * 16 - toy.usable_less;
}

static int toy_protect(void *context, void *p, int access)
{
    static const int bits[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE};
    size_t i = find(p);
    (void)context;
    if (i == toy.live_count || toy.error != 0)
        return EINVAL;
    char *map = toy.live[i].map;
    return mprotect(map + TOY_PAGE, toy.live[i].map_bytes - 2 * TOY_PAGE, bits[access]);
}

static size_t toy_locked_bytes(void *context)
{
    (void)context;
    return (size_t)toy.locked_bytes;
}

const struct secret_alloc toy_table = {
    .size = sizeof toy_table,
    .flags = SECRET_ALLOC_USES_FATAL | SECRET_ALLOC_CHILD_MAY_ALLOC | SECRET_ALLOC_CHILD_MAY_FREE,
    .name = "toy",
    .version = "1",
    .library = "toy",
    .min_align = 16,
    .open = toy_open,
    .alloc = toy_alloc,
    .free = toy_free,
    .close = toy_close,
    .resize = toy_resize,
    .alloc_aligned = toy_alloc_aligned,
    .usable = toy_usable,
    .protect = toy_protect,
    .locked_bytes = toy_locked_bytes,
};

const struct secret_alloc toy_required = {
    .size = sizeof toy_required,
    .name = "toy-required",
    .version = "1",
    .library = "toy",
    .open = toy_open,
    .alloc = toy_alloc,
    .free = toy_free,
};

static pthread_mutex_t toy_lock = PTHREAD_MUTEX_INITIALIZER;

static void *toy_storm_alloc(void *context, size_t size)
{
    pthread_mutex_lock(&toy_lock);
    void *p = toy_alloc(context, size);
    pthread_mutex_unlock(&toy_lock);
    return p;
}

static void toy_storm_free(void *context, void *p, size_t size)
{
    pthread_mutex_lock(&toy_lock);
    bool bad = toy.storm_bad_at > 0 && --toy.storm_bad_at == 0;
    if (!bad)
        toy_free(context, p, size);
    pthread_mutex_unlock(&toy_lock);
    if (bad)
        unknown();
}

const struct secret_alloc toy_storm = {
    .size = sizeof toy_storm,
    .flags = SECRET_ALLOC_THREAD_SAFE,
    .name = "toy-storm",
    .version = "1",
    .library = "toy",
    .open = toy_open,
    .alloc = toy_storm_alloc,
    .free = toy_storm_free,
};

void toy_reset(void)
{
    toy_close(NULL);
    memset(&toy, 0, sizeof toy);
    toy.room = TOY_LIVE_MAX;
    toy.refuse_errno = ENOMEM;
}

/* -------------------------------------------------------------------------------------- the host */

static unsigned char secret_byte(uint32_t fill, size_t i)
{
    return (unsigned char)((fill * 131u + (uint32_t)i * 31u + (uint32_t)(i >> 8)) ^ 0x5a);
}

static bool host_plant(void *arg, uint32_t fill, void *p, size_t size)
{
    struct record *r = arg;
    volatile unsigned char *to = p;
    __atomic_fetch_add(&r->plants, 1, __ATOMIC_RELAXED);
    for (size_t i = 0; !r->bad_memory && i < size; i++)
        to[i] = secret_byte(fill, i);
    return !r->bad_memory;
}

static bool host_matches(void *arg, uint32_t fill, const void *p, size_t size)
{
    struct record *r = arg;
    const volatile unsigned char *from = p;
    r->matches++;
    for (size_t i = 0; i < size; i++)
        if (from[i] != secret_byte(fill, i))
            return false;
    return true;
}

static void host_begin(void *arg, uint32_t op_index, const struct model_operation *operation,
                       const struct model_event *so_far)
{
    struct record *r = arg;
    if (op_index != r->count || (op_index > 0 && !r->operations[op_index - 1].ended))
        r->misorder = "begin";
    r->operations[op_index].operation = *operation;
    r->operations[op_index].before = *so_far;
    r->operations[op_index].thread = syscall(SYS_gettid);
    r->count = op_index + 1;
    errno = EDOM; /* the interpreter's duty is to clear it for the subject */
}

static void host_end(void *arg, const struct model_operation *operation,
                     const struct model_event *event)
{
    struct record *r = arg;
    struct recorded *last = &r->operations[r->count - 1];
    if (event->op_index + 1 != r->count || last->ended || operation->code != last->operation.code)
        r->misorder = "end";
    if (record_to != 0 && event->outcome == MODEL_DIED) {
        unsigned char told[2] = {(unsigned char)event->outcome, (unsigned char)event->signal};
        assert_int_equal(write(record_to, told, sizeof told), sizeof told);
    }
    last->after = *event;
    last->ended = true;
}

static void host_violated(void *arg, uint32_t op_index, const char *promise_id, const char *detail)
{
    struct record *r = arg;
    if (r->violations++ > 0)
        return;
    r->violated_at = op_index;
    snprintf(r->promise, sizeof r->promise, "%s", promise_id);
    snprintf(r->detail, sizeof r->detail, "%s", detail);
}

static bool host_fail(void *arg, enum model_call call, unsigned nth, int error, bool after, bool on)
{
    struct record *r = arg;
    r->fault.call = call;
    r->fault.nth = nth;
    r->fault.error = error;
    r->fault.after = after;
    r->fault.on = on;
    return !r->cannot_fail;
}

static void host_in_child(void *arg, uint32_t op_index)
{
    struct record *r = arg;
    (void)op_index;
    r->children++; /* in the child's copy: the parent's stays */
}

void toy_run(const struct secret_alloc *table, const char *text)
{
    static struct model_program program;
    char error[128] = "";
    bool bad_memory = record.bad_memory, cannot_fail = record.cannot_fail;
    memset(&record, 0, sizeof record);
    record.bad_memory = bad_memory;
    record.cannot_fail = cannot_fail;
    record.host = (struct model_host){.arg = &record,
                                      .page_bytes = TOY_PAGE,
                                      .plant = host_plant,
                                      .matches = host_matches,
                                      .begin = host_begin,
                                      .end = host_end,
                                      .violated = host_violated,
                                      .fail = host_fail,
                                      .in_child = host_in_child,
                                      .parallel = (table->flags & SECRET_ALLOC_THREAD_SAFE) != 0};
    if (!model_program_parse(&program, text, NULL, error, sizeof error) ||
        !model_interpret(&program, table, &record.host, error, sizeof error))
        fail_msg("%s", error);
    if (record.misorder != NULL)
        fail_msg("%s out of order at operation %zu", record.misorder, record.count - 1);
}

const struct model_event *ended(size_t index)
{
    if (index >= record.count || !record.operations[index].ended)
        fail_msg("operation %zu did not end", index);
    return &record.operations[index].after;
}
