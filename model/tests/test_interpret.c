/* SPDX-License-Identifier: MIT */
/* test_interpret.c: the interpreter, on a small allocator whose every move is known. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "toy.h"

static int fresh(void **unused)
{
    (void)unused;
    record.bad_memory = record.cannot_fail = false;
    toy_reset();
    return 0;
}

static void assert_outcome(size_t index, enum model_outcome outcome)
{
    if (ended(index)->outcome != (uint32_t)outcome) {
        char line[64];
        model_operation_print(&record.operations[index].operation, line, sizeof line);
        fail_msg("operation %zu (%s) ended in outcome %u, not %d", index, line,
                 ended(index)->outcome, (int)outcome);
    }
}

static void assert_outcomes(const enum model_outcome *outcomes, size_t count)
{
    assert_int_equal(record.count, count);
    for (size_t i = 0; i < count; i++)
        assert_outcome(i, outcomes[i]);
}

/* -------------------------------------------------------------------------------- plain courses */

static void every_operation_is_carried_out(void **unused)
{
    bool seen[MODEL_CODES] = {false};
    (void)unused;
    toy_run(&toy_table, "limit max\n"
                        "open 65536\n"
                        "fail lock 1 ENOMEM\n"
                        "heal\n"
                        "alloc s0 100\n"
                        "alloc-aligned s1 10 64\n"
                        "fill s0\n"
                        "check s0\n"
                        "look s0\n"
                        "peek s0\n"
                        "resize s0 5000\n"
                        "protect s0 read\n"
                        "protect s0 read-write\n"
                        "touch s0 inside write 99\n"
                        "walk s0 after 0\n"
                        "smash s1 before 1\n"
                        "baton\n"
                        "free s0\n"
                        "baton\n"
                        "fork libc use\n"
                        "crowd 32 4\n"
                        "crowd-look\n"
                        "crowd-free first\n"
                        "close\n"
                        "open\n"
                        "alloc s2 1\n"
                        "free s2\n");
    assert_int_equal(record.count, 27);
    for (size_t i = 0; i < record.count; i++) {
        assert_outcome(i, MODEL_OK);
        seen[record.operations[i].operation.code] = true;
    }
    toy_run(&toy_table, "open\nalloc s0 8\nfree s0\nstale s0 read\nmisuse s0 double-free\nopen\n");
    for (size_t i = 0; i < record.count; i++)
        seen[record.operations[i].operation.code] = true;
    toy_run(&toy_storm, "open\nstorm 64 16 2\n");
    assert_outcome(1, MODEL_OK);
    seen[MODEL_STORM] = true;
    for (unsigned code = 0; code < MODEL_CODES; code++)
        assert_true(seen[code]);
    assert_int_equal(record.violations, 0);
}

static void open_hands_over_the_budget(void **unused)
{
    (void)unused;
    toy_run(&toy_table, "open 3*page\n");
    assert_int_equal(toy.config.lock_budget_bytes, 3 * TOY_PAGE);
    assert_int_equal(toy.config.size, sizeof toy.config);
    assert_non_null(toy.config.fatal);
}

static void sizes_reach_the_subject_as_they_are(void **unused)
{
    (void)unused;
    toy_run(&toy_table, "open\nalloc s0 page-1\nalloc s1 max\nresize s0 7\n");
    assert_int_equal(toy.last_size, 7);
    assert_int_equal(toy.last_old_size, TOY_PAGE - 1);
    assert_int_equal(ended(2)->size_bytes, SIZE_MAX);
    assert_outcome(2, MODEL_REFUSED);
    assert_int_equal(ended(2)->error, ENOMEM);
}

static void an_event_tells_all(void **unused)
{
    (void)unused;
    toy_run(&toy_table, "open\nalloc s3 100\nfill s3\nresize s3 60\nfree s3\n");
    const struct model_event *e = ended(1);
    assert_int_not_equal(e->address, 0);
    assert_int_equal(e->size_bytes, 100);
    assert_int_equal(e->usable_bytes, 112);
    assert_int_equal(e->locked_bytes, TOY_PAGE);
    uint64_t first = e->address;
    assert_int_equal(ended(2)->slot_fill, 1);
    assert_int_equal(ended(2)->count, 100);
    e = ended(3);
    assert_int_equal(e->old_address, first);
    assert_int_equal(e->old_size_bytes, 100);
    assert_int_equal(e->size_bytes, 60);
    assert_int_equal(e->usable_bytes, 64);
    assert_int_not_equal(e->address, first);
    assert_int_equal(e->slot_fill, 1);
    assert_int_equal(ended(4)->address, e->address);
    assert_int_equal(ended(4)->old_size_bytes, 60);
    assert_int_equal(ended(4)->locked_bytes, 0);
}

static void observers_know_before_the_call(void **unused)
{
    (void)unused;
    toy_run(&toy_table, "open\nalloc s3 100\nfill s3\nfree s3\nmisuse s3 double-free\n");
    const struct model_event *e = &record.operations[1].before;
    assert_int_equal(e->address, 0);
    assert_int_equal(e->size_bytes, 100);
    e = &record.operations[3].before;
    assert_int_equal(e->op_index, 3);
    assert_int_equal(e->address, ended(1)->address);
    assert_int_equal(e->size_bytes, 100);
    assert_int_equal(e->slot_fill, 1);
    assert_int_equal(record.operations[4].before.old_address, ended(1)->address);
    assert_int_equal(record.operations[4].before.old_size_bytes, 100);
}

static void what_cannot_be_done_is_skipped(void **unused)
{
    (void)unused;
    toy_run(&toy_table, "alloc s0 8\nclose\ncrowd 8 1\nopen\nopen\nfree s0\nfill s0\ncheck s0\n"
                        "peek s0\nstale s0 read\nmisuse s0 double-free\nmisuse s0 interior-free\n"
                        "alloc s0 8\nalloc s0 8\ncheck s0\ntouch s0 inside read 8\nfill s0\n"
                        "protect s0 none\nfill s0\ncheck s0\n");
    static const enum model_outcome expected[] = {
        MODEL_SKIPPED, MODEL_SKIPPED, MODEL_SKIPPED, MODEL_OK,      MODEL_SKIPPED,
        MODEL_SKIPPED, MODEL_SKIPPED, MODEL_SKIPPED, MODEL_SKIPPED, MODEL_SKIPPED,
        MODEL_SKIPPED, MODEL_SKIPPED, MODEL_OK,      MODEL_SKIPPED, MODEL_SKIPPED,
        MODEL_SKIPPED, MODEL_OK,      MODEL_OK,      MODEL_SKIPPED, MODEL_SKIPPED};
    assert_outcomes(expected, sizeof expected / sizeof expected[0]);
    assert_int_equal(toy.opened, 1);
}

static void what_is_not_offered_is_skipped(void **unused)
{
    (void)unused;
    toy_run(&toy_required, "open\nalloc s0 8\nalloc-aligned s1 8 8\nresize s0 9\nprotect s0 read\n"
                           "close\nfree s0\n");
    for (size_t i = 2; i <= 5; i++)
        assert_outcome(i, MODEL_SKIPPED);
    assert_outcome(6, MODEL_OK);
    assert_int_equal(ended(1)->usable_bytes, 8);
    assert_true(ended(1)->locked_bytes == UINT64_MAX);
}

static void errno_values_are_reported(void **unused)
{
    (void)unused;
    toy.error = EAGAIN;
    toy_run(&toy_table, "open\nalloc s0 8\n");
    assert_outcome(0, MODEL_REFUSED);
    assert_int_equal(ended(0)->error, EAGAIN);
    assert_outcome(1, MODEL_SKIPPED);
    toy.error = 0;
    toy_run(&toy_table, "open\nalloc s0 8\nprotect s0 none\nfill s0\nprotect s0 read-write\n"
                        "fill s0\n");
    assert_outcome(3, MODEL_SKIPPED);
    assert_outcome(5, MODEL_OK);
}

static int close_fails(void *context)
{
    (void)context;
    return EBUSY;
}

static int protect_fails(void *context, void *p, int access)
{
    (void)context;
    (void)p;
    (void)access;
    return ENOSYS;
}

static void refused_entries_are_told(void **unused)
{
    struct secret_alloc table = toy_table;
    (void)unused;
    table.close = close_fails;
    table.protect = protect_fails;
    toy_run(&table, "open\nalloc s0 8\nprotect s0 none\nfill s0\nclose\nfree s0\nopen\n");
    assert_outcome(2, MODEL_REFUSED);
    assert_int_equal(ended(2)->error, ENOSYS);
    assert_outcome(3, MODEL_OK); /* still as it was */
    assert_outcome(4, MODEL_REFUSED);
    assert_int_equal(ended(4)->error, EBUSY);
    assert_outcome(5, MODEL_SKIPPED); /* the context is gone in either case */
    assert_outcome(6, MODEL_OK);
}

static void after_close_everything_is_gone(void **unused)
{
    (void)unused;
    toy_run(&toy_table,
            "open\nalloc s0 8\ncrowd 8 2\nclose\nfree s0\nopen\ncrowd-look\nalloc s0 8\n");
    assert_outcome(4, MODEL_SKIPPED);
    assert_int_equal(ended(6)->count, 0);
    assert_true(ended(3)->locked_bytes == UINT64_MAX);
    assert_outcome(7, MODEL_OK);
}

static void the_limit_is_reported_as_it_is(void **unused)
{
    struct rlimit before, now;
    (void)unused;
    getrlimit(RLIMIT_MEMLOCK, &before);
    toy_run(&toy_table, "limit 65536\n");
    getrlimit(RLIMIT_MEMLOCK, &now);
    assert_int_equal(ended(0)->size_bytes, now.rlim_cur);
    assert_true(now.rlim_cur == 65536 || now.rlim_cur == now.rlim_max);
    assert_int_equal(now.rlim_max, before.rlim_max);
    toy_run(&toy_table, "limit max\n");
    assert_int_equal(ended(0)->size_bytes, before.rlim_max);
    setrlimit(RLIMIT_MEMLOCK, &before);
}

static void faults_go_to_the_host(void **unused)
{
    (void)unused;
    toy_run(&toy_table, "fail mprotect 7 EPERM after on\n");
    assert_int_equal(record.fault.call, MODEL_CALL_MPROTECT);
    assert_int_equal(record.fault.nth, 7);
    assert_int_equal(record.fault.error, EPERM);
    assert_true(record.fault.after && record.fault.on);
    toy_run(&toy_table, "fail mprotect 7 EPERM\nheal\n");
    assert_int_equal(record.fault.nth, 0);
    assert_int_equal(record.fault.error, 0);
    record.cannot_fail = true;
    toy_run(&toy_table, "fail mprotect 7 EPERM\nheal\n");
    assert_outcome(0, MODEL_SKIPPED);
    assert_outcome(1, MODEL_SKIPPED);
}

/* ------------------------------------------------------------------------------------- contents */

static void contents_are_checked(void **unused)
{
    (void)unused;
    toy_run(&toy_table,
            "open\nalloc s0 100\nfill s0\ncheck s0\nresize s0 200\ncheck s0\nresize s0 50\n"
            "check s0\nfill s0 usable\ncheck s0\nresize s0 300\ncheck s0\n");
    static const uint64_t bytes[] = {0, 0, 0, 100, 0, 100, 0, 50, 0, 64, 0, 50};
    for (size_t i = 3; i < sizeof bytes / sizeof bytes[0]; i += 2)
        if (bytes[i] != 0) {
            assert_outcome(i, MODEL_OK);
            assert_int_equal(ended(i)->count, bytes[i]);
            assert_int_equal(ended(i)->count_good, 1);
        }
    assert_int_equal(ended(8)->count, 64);
    assert_int_equal(record.violations, 0);
    assert_int_equal(record.matches, 5);
}

static void a_damaged_neighbour_is_told(void **unused)
{
    (void)unused;
    toy.spill = true;
    toy_run(&toy_table, "open\nalloc s0 10\nfill s0\nalloc s1 10\nfill s1\nfree s1\ncheck s0\n");
    assert_int_equal(ended(6)->count_good, 0);
    assert_int_equal(record.violations, 1);
    assert_int_equal(record.violated_at, 6);
    assert_string_equal(record.promise, "neighbour");
}

static void bad_memory_is_a_trap(void **unused)
{
    (void)unused;
    record.bad_memory = true;
    toy_run(&toy_table, "open\nalloc s0 10\nfill s0\ncheck s0\ncrowd 8 4\n");
    assert_outcome(2, MODEL_TRAPPED);
    assert_int_equal(ended(2)->signal, SIGSEGV);
    assert_int_equal(ended(2)->trap_address, ended(1)->address);
    assert_string_equal(record.promise, "sizes");
    assert_outcome(3, MODEL_SKIPPED);
    assert_outcome(4, MODEL_TRAPPED);
    assert_int_equal(ended(4)->count, 1);
}

static void huge_secrets_are_not_filled(void **unused)
{
    (void)unused;
    toy_run(&toy_required, "open\nalloc s0 67108865\nfill s0\n");
    assert_outcome(1, MODEL_OK);
    assert_outcome(2, MODEL_SKIPPED);
}

static void look_counts_locked_pages(void **unused)
{
    (void)unused;
    toy_run(&toy_table, "open\nalloc s0 5000\nlook s0\nalloc s1 0\nlook s1\n");
    assert_int_equal(ended(2)->count, 2);
    if (toy.unlocked == 0 && ended(2)->count_locked != UINT64_MAX)
        assert_int_equal(ended(2)->count_locked, 2);
    assert_int_equal(ended(4)->count, 0);
    toy_run(&toy_table, "open\nalloc s0 page\nlook s0\n");
    assert_int_equal(ended(2)->count, 1); /* it ends where the page does */
}

static int plain_open(const struct secret_config *config, void **context)
{
    (void)config;
    (void)context;
    return 0;
}
static _Alignas(4096) unsigned char plain_page[3 * 4096];
static size_t plain_used;
static void *plain_alloc(void *context, size_t size)
{
    (void)context;
    unsigned char *p = plain_page + plain_used;
    plain_used += size;
    return p;
}
static void plain_free(void *context, void *p, size_t size)
{
    (void)context;
    (void)p;
    (void)size;
}
static const struct secret_alloc plain = {.size = sizeof plain,
                                          .name = "plain",
                                          .version = "1",
                                          .library = "plain",
                                          .min_align = 1,
                                          .open = plain_open,
                                          .alloc = plain_alloc,
                                          .free = plain_free};

static void *nowhere_alloc(void *context, size_t size)
{
    (void)context;
    void *p = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(p, size);
    return p;
}

static void look_does_not_take_absence_for_a_lock(void **unused)
{
    struct secret_alloc table = plain;
    (void)unused;
    table.alloc = nowhere_alloc;
    toy_run(&table, "open\nalloc s0 5000\nlook s0\n");
    assert_int_equal(ended(2)->count, 2);
    assert_true(ended(2)->count_locked == 0 || ended(2)->count_locked == UINT64_MAX);
}

static void look_sees_what_is_not_locked(void **unused)
{
    (void)unused;
    plain_used = 0;
    toy_run(&plain, "open\nalloc s0 5000\nfill s0\nlook s0\nfree s0\npeek s0\nstale s0 read\n"
                    "touch s0 after read 0\n");
    assert_int_equal(ended(3)->count, 2);
    assert_true(ended(3)->count_locked == 0 || ended(3)->count_locked == UINT64_MAX);
    assert_int_equal(ended(5)->address, (uintptr_t)plain_page);
    assert_int_equal(ended(5)->count, 0);
    assert_outcome(6, MODEL_OK);
    assert_int_equal(ended(6)->count, 2);
    assert_int_equal(ended(6)->count_good, 0);
    assert_outcome(7, MODEL_SKIPPED);
}

/* --------------------------------------------------------------------------------------- touches */

static void assert_guard(size_t index, uint64_t address)
{
    assert_outcome(index, MODEL_TRAPPED);
    assert_int_equal(ended(index)->signal, SIGSEGV);
    assert_int_equal(ended(index)->code, SEGV_ACCERR);
    assert_int_equal(ended(index)->trap_address, address);
}

static void guards_trap_where_they_are(void **unused)
{
    (void)unused;
    toy_run(&toy_table, "open\nalloc s0 100\n"
                        "touch s0 after read 11\ntouch s0 after write 12\ntouch s0 after read 12\n"
                        "walk s0 after 100\nwalk s0 after 12\nwalk s0 before 2*page\n"
                        "touch s0 inside write 0\ntouch s0 inside write 99\n"
                        "smash s0 after 20\n");
    uint64_t p = ended(1)->address;
    assert_outcome(2, MODEL_OK);
    assert_guard(3, p + 112);
    assert_guard(4, p + 112);
    assert_guard(5, p + 112);
    assert_int_equal(ended(5)->distance_bytes, 12);
    assert_outcome(6, MODEL_OK);
    assert_int_equal(ended(6)->distance_bytes, 12);
    assert_guard(7, p / TOY_PAGE * TOY_PAGE - 1);
    assert_int_equal(ended(7)->distance_bytes, p % TOY_PAGE);
    assert_outcome(8, MODEL_OK);
    assert_outcome(9, MODEL_OK);
    assert_guard(10, p + 112);
    assert_int_equal(ended(10)->distance_bytes, 12);
}

static void touching_leaves_the_bytes_alone_and_smashing_does_not(void **unused)
{
    (void)unused;
    plain_used = 0;
    toy_run(&plain, "open\nalloc s0 16\nalloc s1 16\nfill s0\nfill s1\ntouch s0 after write 0\n"
                    "touch s1 before write 0\ncheck s0\ncheck s1\n"
                    "smash s0 after 1\ncheck s1\nsmash s1 before 1\ncheck s0\n");
    assert_int_equal(ended(7)->count_good, 1);
    assert_int_equal(ended(8)->count_good, 1);
    assert_outcome(9, MODEL_OK);
    assert_int_equal(ended(9)->distance_bytes, 1);
    assert_int_equal(ended(10)->count_good, 0);
    assert_int_equal(ended(12)->count_good, 0);
    assert_int_equal(record.violations, 0); /* it was not the subject who did it */
}

static void states_trap(void **unused)
{
    (void)unused;
    toy_run(&toy_table,
            "open\nalloc s0 100\nprotect s0 none\ntouch s0 inside read 5\nprotect s0 read\n"
            "touch s0 inside read 5\ntouch s0 inside write 5\nprotect s0 read-write\n"
            "touch s0 inside write 5\n");
    uint64_t at = ended(1)->address + 5;
    assert_guard(3, at);
    assert_outcome(5, MODEL_OK);
    assert_guard(6, at);
    assert_outcome(8, MODEL_OK);
}

static void stale_pages_trap(void **unused)
{
    (void)unused;
    toy_run(&toy_table, "open\nalloc s0 9000\nfree s0\nstale s0 read\nstale s0 write\n");
    assert_outcome(3, MODEL_TRAPPED);
    assert_int_equal(ended(3)->count, 3);
    assert_int_equal(ended(3)->count_good, 3);
    assert_int_equal(ended(3)->code, SEGV_MAPERR);
    assert_outcome(4, MODEL_TRAPPED);
}

static void handlers_of_the_subject_do_not_hide_a_trap(void **unused)
{
    (void)unused;
    toy.own_handlers = true;
    toy_run(&toy_table, "open\nalloc s0 16\ntouch s0 after read 0\nwalk s0 after 5\n"
                        "touch s0 inside read 0\n");
    assert_outcome(2, MODEL_TRAPPED);
    assert_outcome(3, MODEL_TRAPPED);
    assert_outcome(4, MODEL_OK);
    assert_int_equal(toy.handlers_run, 0);
}

/* --------------------------------------------------------------------------------------- deaths */

static void misuse_is_caught(enum toy_bad how, const char *program, size_t at)
{
    toy_reset();
    toy.bad = how;
    toy_run(&toy_table, program);
    assert_int_equal(record.count, at + 1);
    assert_outcome(at, MODEL_DIED);
    if (how == TOY_FATAL)
        assert_string_equal(ended(at)->message, "not?mine");
    else
        assert_int_equal(ended(at)->signal, how == TOY_ABORT ? SIGABRT : SIGBUS);
}

static void each_misuse_is_caught_each_way(void **unused)
{
    static const enum toy_bad ways[] = {TOY_FATAL, TOY_ABORT, TOY_CRASH};
    (void)unused;
    for (size_t i = 0; i < 3; i++) {
        misuse_is_caught(ways[i], "open\nalloc s0 8\nfree s0\nmisuse s0 double-free\nopen\n", 3);
        misuse_is_caught(ways[i], "open\nalloc s0 8\nmisuse s0 interior-free\nopen\n", 2);
        misuse_is_caught(ways[i], "open\nmisuse s0 foreign-free\nopen\n", 1);
        misuse_is_caught(ways[i], "open\nalloc s0 8\nmisuse s0 wrong-size -1\nopen\n", 2);
        misuse_is_caught(ways[i], "open\nbaton\nmisuse s0 foreign-free\nbaton\nopen\n", 2);
    }
}

static void after_a_death_the_next_program_runs(void **unused)
{
    (void)unused;
    misuse_is_caught(TOY_ABORT, "open\nbaton\nmisuse s0 foreign-free\n", 2);
    toy_reset();
    toy_run(&toy_table,
            "open\nbaton\nalloc s0 16\ntouch s0 after read 0\nbaton\ntouch s0 after read 0\n");
    assert_outcome(3, MODEL_TRAPPED);
    assert_outcome(5, MODEL_TRAPPED);
}

static void misuse_hands_in_what_it_says(void **unused)
{
    (void)unused;
    toy.bad = TOY_IGNORE;
    toy_run(&toy_table, "open\nalloc s0 100\nmisuse s0 interior-free 16\nmisuse s0 foreign-free\n"
                        "misuse s0 wrong-size -1\nalloc s1 10\nfree s1\nmisuse s1 double-free\n"
                        "misuse s1 wrong-size\nalloc s2 10\n");
    uint64_t p = ended(1)->address;
    assert_outcome(2, MODEL_OK);
    assert_int_equal(ended(2)->old_address, p + 16);
    assert_int_equal(ended(2)->old_size_bytes, 100);
    assert_int_equal(ended(3)->old_address % 64, 0);
    assert_int_equal(ended(3)->old_size_bytes, 100);
    assert_int_equal(ended(4)->old_address, p);
    assert_int_equal(ended(4)->old_size_bytes, 99);
    assert_int_equal(ended(7)->old_address, ended(5)->address);
    assert_int_equal(ended(7)->old_size_bytes, 10);
    assert_outcome(8, MODEL_SKIPPED);
    assert_outcome(9, MODEL_OK); /* and the program went on */
}

static void a_place_taken_again_is_not_freed_twice(void **unused)
{
    (void)unused;
    plain_used = 0;
    toy_run(&plain, "open\nalloc s0 16\nfree s0\n");
    plain_used = 0;
    toy_run(&plain, "open\nalloc s0 0\nfree s0\nalloc s1 8\nmisuse s0 double-free\n");
    assert_int_equal(ended(3)->address, ended(1)->address);
    assert_outcome(4, MODEL_SKIPPED);
}

/* ------------------------------------------------------------------------------------- children */

static void children_report_back(void **unused)
{
    (void)unused;
    toy_run(&toy_table, "fork raw\nopen\nalloc s0 8\nfork libc use\nfork raw use\nfree s0\n");
    for (size_t i = 0; i <= 4; i++)
        assert_outcome(i, MODEL_OK);
    assert_int_equal(ended(3)->count, MODEL_CHILD_FINE);
    assert_int_equal(record.children, 0); /* the parent's memory is its own */
    assert_outcome(5, MODEL_OK);
    toy_reset();
    toy.room = 1;
    toy_run(&toy_table, "open\nalloc s0 8\nfork raw use\n");
    assert_int_equal(ended(2)->count, MODEL_CHILD_REFUSED);
    toy_reset();
    toy.crash_in_child = true;
    toy_run(&toy_table, "open\nfork raw use\nfork libc use\nfork libc\n");
    assert_int_equal(ended(1)->signal, SIGSEGV);
    assert_int_equal(ended(2)->signal, SIGSEGV);
    assert_outcome(2, MODEL_OK);
    assert_int_equal(ended(3)->signal, 0);
    toy_reset();
    toy.fatal_in_child = true;
    int pipe_ends[2];
    unsigned char told;
    assert_int_equal(pipe2(pipe_ends, O_NONBLOCK), 0);
    record_to = pipe_ends[1];
    toy_run(&toy_table, "open\nalloc s0 8\nfork libc use\nfork raw use\nfork raw\n");
    record_to = 0;
    assert_int_equal(read(pipe_ends[0], &told, 1), -1); /* no child spoke for the program */
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    assert_int_equal(ended(2)->signal, SIGABRT);
    assert_int_equal(ended(3)->signal, SIGABRT);
    assert_int_equal(ended(4)->signal, 0);
}

/* Crashes that cannot be survived: in a process of their own. */
static void *crash_on_a_thread(void *unused)
{
    (void)unused;
    raise(SIGILL);
    return NULL;
}

static void *alloc_on_a_thread(void *context, size_t size)
{
    pthread_t thread;
    (void)context;
    (void)size;
    pthread_create(&thread, NULL, crash_on_a_thread, NULL);
    pthread_join(thread, NULL);
    return NULL;
}

static void a_crash_on_a_thread_of_the_subject_is_told_too(void **unused)
{
    struct secret_alloc table = toy_table;
    int pipe_ends[2], status;
    unsigned char told[2] = {0};
    (void)unused;
    table.alloc = alloc_on_a_thread;
    assert_int_equal(pipe(pipe_ends), 0);
    record_to = pipe_ends[1];
    pid_t child = fork();
    if (child == 0) {
        signal(SIGILL, SIG_DFL); /* the test frame's would hide it */
        toy_run(&table, "open\nalloc s0 8\n");
        _exit(0);
    }
    record_to = 0;
    waitpid(child, &status, 0);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGILL);
    assert_int_equal(read(pipe_ends[0], told, 2), 2);
    assert_int_equal(told[0], MODEL_DIED);
    assert_int_equal(told[1], SIGILL);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

static void a_child_that_hangs_is_killed(void **unused)
{
    (void)unused;
    toy.hang_in_child = true;
    toy_run(&toy_table, "open\nfork libc use\nalloc s0 8\n");
    assert_int_equal(ended(1)->signal, SIGKILL);
    assert_string_equal(ended(1)->message, "the child hung");
    assert_outcome(2, MODEL_OK);
}

/* ---------------------------------------------------------------------------------------- crowd */

static void crowds_come_and_go(void **unused)
{
    (void)unused;
    toy_run(&toy_table, "open\ncrowd 100 16\ncrowd-look\ncrowd-free every-other\ncrowd-look\n"
                        "crowd 5000 8\ncrowd-look\ncrowd-free last\ncrowd-look\n"
                        "crowd 1 2\ncrowd-free first\nalloc s0 8\nfree s0\n");
    static const uint64_t alive[] = {0, 16, 16, 8, 8, 16, 16, 0, 0, 2, 0};
    for (size_t i = 1; i < sizeof alive / sizeof alive[0]; i++)
        assert_int_equal(ended(i)->count, alive[i]);
    assert_int_equal(ended(2)->count_good, 16);
    assert_int_equal(ended(6)->count_good, 16);
    if (toy.unlocked == 0 && ended(6)->count_locked != UINT64_MAX)
        assert_int_equal(ended(6)->count_locked, 16);
    assert_int_equal(ended(1)->slot_fill, 16);
    assert_int_equal(ended(7)->locked_bytes, 0);
    assert_int_equal(record.matches, 16 + 8 + 16);
    assert_int_equal(record.violations, 0);
}

static void crowds_are_freed_in_order(void **unused)
{
    (void)unused;
    toy_run(&toy_table, "open\ncrowd 100 8\ncrowd-free last\n");
    assert_int_equal((uintptr_t)toy.first_freed, ended(1)->address);
    toy_reset();
    toy_run(&toy_table, "open\ncrowd 100 8\ncrowd-free first\n");
    assert_non_null(toy.first_freed);
    assert_int_not_equal((uintptr_t)toy.first_freed, ended(1)->address);
}

static void a_crowd_that_is_not_locked_is_told(void **unused)
{
    (void)unused;
    plain_used = 0;
    toy_run(&plain, "open\ncrowd 3000 2\ncrowd-look\n");
    assert_int_equal(ended(2)->count, 2);
    assert_int_equal(ended(2)->count_good, 2);
    assert_true(ended(2)->count_locked == 0 || ended(2)->count_locked == UINT64_MAX);
}

static void a_crowd_stops_at_a_refusal(void **unused)
{
    (void)unused;
    toy.room = 21;
    toy_run(&toy_table,
            "open\ncrowd 32 full\ncrowd-look\ncrowd 32 4\ncrowd-free first\ncrowd 32 8\n");
    assert_outcome(1, MODEL_REFUSED);
    assert_int_equal(ended(1)->error, ENOMEM);
    assert_int_equal(ended(1)->count, 21);
    assert_int_equal(ended(2)->count_good, 21);
    assert_outcome(3, MODEL_REFUSED);
    assert_int_equal(ended(3)->count, 21);
    assert_outcome(5, MODEL_OK);
    assert_int_equal(ended(5)->count, 8);
    assert_int_equal(record.violations, 0);
}

static void a_full_crowd_is_more_than_the_limit(void **unused)
{
    struct rlimit before;
    (void)unused;
    getrlimit(RLIMIT_MEMLOCK, &before);
    plain_used = 0;
    toy_run(&plain, "limit 4096\nopen\ncrowd 32 full\ncrowd-free first\ncrowd 0 full\n");
    setrlimit(RLIMIT_MEMLOCK, &before);
    assert_outcome(2, MODEL_OK);
    assert_int_equal(ended(2)->count, 4096 / 32 + 1);
    assert_int_equal(ended(4)->count, MODEL_CROWD_FULL_MAX);
}

static void a_damaged_crowd_is_told(void **unused)
{
    (void)unused;
    toy.spill = true;
    toy_run(&toy_table, "open\ncrowd 100 4\nalloc s0 8\nfree s0\ncrowd-look\n");
    assert_int_equal(ended(4)->count_good, 3);
    assert_string_equal(record.promise, "neighbour");
}

/* ---------------------------------------------------------------------------------------- turns */

static void a_storm_is_counted(void **unused)
{
    (void)unused;
    toy_run(&toy_storm, "open\nstorm 100 256 4\nalloc s0 8\nfill s0\n");
    const struct model_event *storm = ended(1);
    assert_true(storm->count > 4 * 64 && storm->count <= 4 * 256);
    assert_int_equal(storm->count, record.plants - 1);
    assert_int_equal(storm->count_good, storm->count);
    assert_int_equal(storm->count_locked, storm->count - toy.unlocked);
    assert_int_equal(storm->error, 0);
    assert_int_equal(ended(3)->slot_fill, storm->count + 1);
    assert_int_equal(toy.live_count, 1);
    toy_run(&toy_table, "open\nstorm 100 256 4\n"); /* not for several threads */
    assert_outcome(1, MODEL_SKIPPED);
}

static void what_a_storm_damages_is_told(void **unused)
{
    (void)unused;
    toy.spill = true;
    toy_run(&toy_storm, "open\nstorm 100 256 4\n");
    assert_true(ended(1)->count_good < ended(1)->count);
    assert_int_equal(record.violations, 1);
    assert_string_equal(record.promise, "threads");
}

static void a_storm_takes_no_for_an_answer(void **unused)
{
    (void)unused;
    toy.room = 3;
    toy_run(&toy_storm, "open\nstorm 100 256 4\n");
    assert_outcome(1, MODEL_OK);
    assert_int_equal(ended(1)->error, ENOMEM);
    toy.room = 0;
    toy_run(&toy_storm, "open\nstorm 100 256 4\n");
    assert_outcome(1, MODEL_REFUSED);
}

/* In a child: the threads of a storm that ended so stay where they are. */
static void a_death_in_a_storm_is_told(void **unused)
{
    static const enum toy_bad bads[] = {TOY_FATAL, TOY_ABORT, TOY_CRASH};
    (void)unused;
    for (unsigned i = 0; i < 3; i++) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            alarm(20);
            toy.bad = bads[i];
            toy.storm_bad_at = 30;
            toy_run(&toy_storm, "open\nstorm 100 256 4\nalloc s0 8\n");
            const struct recorded *last = &record.operations[1];
            bool right = record.count == 2 && last->after.outcome == MODEL_DIED;
            _exit(right && (i != 0 || strcmp(last->after.message, "not?mine") == 0) ? 0 : 1);
        }
        waitpid(child, &status, 0);
        assert_int_equal(status, 0);
    }
}

static void the_baton_changes_threads(void **unused)
{
    (void)unused;
    toy_run(&toy_table,
            "open\nalloc s0 8\nbaton\nalloc s1 8\nfree s0\nbaton\nfree s1\nbaton\nopen\n");
    long first = record.operations[0].thread, second = record.operations[3].thread;
    assert_int_equal(first, syscall(SYS_gettid));
    assert_int_not_equal(second, first);
    static const bool on_second[] = {0, 0, 0, 1, 1, 1, 0, 0, 1};
    assert_int_equal(record.count, 9);
    for (size_t i = 0; i < 9; i++)
        assert_int_equal(record.operations[i].thread, on_second[i] ? second : first);
    assert_int_equal(toy.thread, second);
}

/* ----------------------------------------------------------------------------------- violations */

static void the_shadow_speaks_through_the_host(void **unused)
{
    (void)unused;
    toy.misplace_bytes = 8;
    toy_run(&toy_table, "open\nalloc s0 8\n");
    assert_string_equal(record.promise, "alignment");
    assert_int_equal(record.violated_at, 1);
    toy_reset();
    toy.refuse_errno = 0;
    toy_run(&toy_table, "open\nalloc s0 max\n");
    assert_string_equal(record.promise, "sizes");
    toy_reset();
    toy.refuse_errno = -1;
    toy_run(&toy_table, "open\nalloc s0 max\nalloc-aligned s0 max 8\nalloc s1 8\nresize s1 max\n");
    assert_int_equal(record.violations, 3);
    toy_reset();
    toy.locked_step = TOY_PAGE;
    toy_run(&toy_table, "open\nalloc s0 8\nalloc s1 max\n");
    assert_string_equal(record.promise, "accounting");
    assert_int_equal(record.violated_at, 2);
    toy_reset();
    toy.usable_less = 9;
    toy_run(&toy_table, "open\nalloc s0 8\n");
    assert_string_equal(record.promise, "sizes");
}

static void handlers_are_put_back(void **unused)
{
    struct sigaction now;
    (void)unused;
    signal(SIGSEGV, SIG_IGN);
    toy_run(&toy_table, "open\nalloc s0 16\ntouch s0 after read 0\n");
    sigaction(SIGSEGV, NULL, &now);
    assert_ptr_equal(now.sa_handler, SIG_IGN);
    signal(SIGSEGV, SIG_DFL);
}

static sigjmp_buf back;
static void jump_back(int number)
{
    siglongjmp(back, number);
}

static void handlers_may_be_kept(void **unused)
{
    struct sigaction now;
    (void)unused;
    signal(SIGSEGV, jump_back);
    model_keep_handlers(true);
    for (int i = 0; i < 3; i++) {
        toy_run(&toy_table,
                "open\nalloc s0 16\ntouch s0 after read 0\nbaton\ntouch s0 after read 0\n"
                "baton\nclose\n");
        assert_outcome(2, MODEL_TRAPPED);
        assert_outcome(4, MODEL_TRAPPED);
    }
    misuse_is_caught(TOY_ABORT, "open\nmisuse s0 foreign-free\n", 1);
    misuse_is_caught(TOY_CRASH, "open\nmisuse s0 foreign-free\n", 1);
    misuse_is_caught(TOY_CRASH, "open\nmisuse s0 foreign-free\n", 1);
    sigaction(SIGSEGV, NULL, &now);
    assert_ptr_not_equal(now.sa_handler, jump_back);
    /* A crash that is no subject's goes to whoever had the signal before. */
    if (sigsetjmp(back, 1) == 0) {
        raise(SIGSEGV);
        fail_msg("raise returned");
    }
    model_keep_handlers(false);
    sigaction(SIGSEGV, NULL, &now);
    assert_ptr_equal(now.sa_handler, jump_back);
    signal(SIGSEGV, SIG_DFL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(every_operation_is_carried_out, fresh),
        cmocka_unit_test_setup(open_hands_over_the_budget, fresh),
        cmocka_unit_test_setup(sizes_reach_the_subject_as_they_are, fresh),
        cmocka_unit_test_setup(an_event_tells_all, fresh),
        cmocka_unit_test_setup(observers_know_before_the_call, fresh),
        cmocka_unit_test_setup(what_cannot_be_done_is_skipped, fresh),
        cmocka_unit_test_setup(what_is_not_offered_is_skipped, fresh),
        cmocka_unit_test_setup(errno_values_are_reported, fresh),
        cmocka_unit_test_setup(refused_entries_are_told, fresh),
        cmocka_unit_test_setup(after_close_everything_is_gone, fresh),
        cmocka_unit_test_setup(the_limit_is_reported_as_it_is, fresh),
        cmocka_unit_test_setup(faults_go_to_the_host, fresh),
        cmocka_unit_test_setup(contents_are_checked, fresh),
        cmocka_unit_test_setup(a_damaged_neighbour_is_told, fresh),
        cmocka_unit_test_setup(bad_memory_is_a_trap, fresh),
        cmocka_unit_test_setup(huge_secrets_are_not_filled, fresh),
        cmocka_unit_test_setup(look_counts_locked_pages, fresh),
        cmocka_unit_test_setup(look_does_not_take_absence_for_a_lock, fresh),
        cmocka_unit_test_setup(look_sees_what_is_not_locked, fresh),
        cmocka_unit_test_setup(guards_trap_where_they_are, fresh),
        cmocka_unit_test_setup(touching_leaves_the_bytes_alone_and_smashing_does_not, fresh),
        cmocka_unit_test_setup(states_trap, fresh),
        cmocka_unit_test_setup(stale_pages_trap, fresh),
        cmocka_unit_test_setup(handlers_of_the_subject_do_not_hide_a_trap, fresh),
        cmocka_unit_test_setup(each_misuse_is_caught_each_way, fresh),
        cmocka_unit_test_setup(after_a_death_the_next_program_runs, fresh),
        cmocka_unit_test_setup(misuse_hands_in_what_it_says, fresh),
        cmocka_unit_test_setup(a_place_taken_again_is_not_freed_twice, fresh),
        cmocka_unit_test_setup(children_report_back, fresh),
        cmocka_unit_test_setup(a_child_that_hangs_is_killed, fresh),
        cmocka_unit_test_setup(a_crash_on_a_thread_of_the_subject_is_told_too, fresh),
        cmocka_unit_test_setup(crowds_come_and_go, fresh),
        cmocka_unit_test_setup(crowds_are_freed_in_order, fresh),
        cmocka_unit_test_setup(a_crowd_that_is_not_locked_is_told, fresh),
        cmocka_unit_test_setup(a_crowd_stops_at_a_refusal, fresh),
        cmocka_unit_test_setup(a_full_crowd_is_more_than_the_limit, fresh),
        cmocka_unit_test_setup(a_damaged_crowd_is_told, fresh),
        cmocka_unit_test_setup(a_storm_is_counted, fresh),
        cmocka_unit_test_setup(what_a_storm_damages_is_told, fresh),
        cmocka_unit_test_setup(a_storm_takes_no_for_an_answer, fresh),
        cmocka_unit_test_setup(a_death_in_a_storm_is_told, fresh),
        cmocka_unit_test_setup(the_baton_changes_threads, fresh),
        cmocka_unit_test_setup(the_shadow_speaks_through_the_host, fresh),
        cmocka_unit_test_setup(handlers_are_put_back, fresh),
        cmocka_unit_test_setup(handlers_may_be_kept, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
