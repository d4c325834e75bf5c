/* SPDX-License-Identifier: MIT */
/*
 * test_ledger.c: calls made from another shared object arrive in the ledger, take effect, are
 * reported before they do, and fail when they are told to.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "fixtures/caller.h"
#include "model/ledger.h"
#include "model/program.h"

#define PAGE ((size_t)4096)
#define SECRET 0x5a

/* What the release hook was told last, and what it saw there. */
static struct {
    unsigned count;
    long call;
    uintptr_t address;
    size_t size;
    unsigned char byte;
} seen;

static void on_release(void *arg, long call, uintptr_t address, size_t size)
{
    assert_ptr_equal(arg, &seen);
    seen.count++;
    seen.call = call;
    seen.address = address;
    seen.size = size;
    seen.byte = size == SIZE_MAX ? 0 : *(volatile unsigned char *)address;
}

static int fresh(void **unused)
{
    (void)unused;
    ledger_fail(0, 0, 0, false, false);
    ledger_arm(true);
    memset(&seen, 0, sizeof seen);
    ledger_watch(on_release, &seen);
    return 0;
}

static unsigned char *map(size_t pages)
{
    unsigned char *p = caller_map(pages);
    assert_ptr_not_equal(p, MAP_FAILED);
    memset(p, SECRET, pages * PAGE);
    return p;
}

static void assert_released(long call, const void *address, size_t size)
{
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.call, call);
    assert_int_equal(seen.address, (uintptr_t)address);
    assert_int_equal(seen.size, size);
    assert_int_equal(seen.byte, SECRET); /* it was still there: told before, not after */
    seen.count = 0;
}

static void locks_are_real(void **unused)
{
    (void)unused;
    assert_true(ledger_locks_are_real());
    unsigned char *p = map(1);
    assert_int_equal(madvise(p, PAGE, 21 /* MADV_PAGEOUT */), 0);
    assert_int_equal(caller_call(CALLER_MLOCK, p, PAGE), 0);
    assert_int_equal(madvise(p, PAGE, 21), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(caller_call(CALLER_MUNLOCK, p, PAGE), 0);
    assert_int_equal(madvise(p, PAGE, 21), 0);
    assert_int_equal(munmap(p, PAGE), 0);
}

static void calls_from_another_object_are_counted(void **unused)
{
    static const enum caller_call calls[] = {
        CALLER_MPROTECT, CALLER_DISCARD, CALLER_DONTDUMP,      CALLER_MLOCK,     CALLER_MLOCK2,
        CALLER_MUNLOCK,  CALLER_MLOCK,   CALLER_SYSCALL_MLOCK, CALLER_MUNLOCKALL};
    struct ledger_counts before = ledger_counts();
    unsigned char *p = map(1);
    (void)unused;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        assert_int_equal(caller_call(calls[i], p, PAGE), 0);
    assert_int_equal(caller_call(CALLER_GETRANDOM, NULL, 0), 8);
    assert_int_equal(caller_call(CALLER_GETENTROPY, NULL, 0), 0);
    assert_int_equal(caller_call(CALLER_MUNMAP, p, PAGE), 0);
    struct ledger_counts after = ledger_counts();
    assert_int_equal(after.calls - before.calls, 13);
    assert_int_equal(after.locks - before.locks, 4);
    assert_int_equal(after.releases - before.releases,
                     4); /* discard, munlock, munlockall, munmap */
    assert_int_equal(after.faults - before.faults, 0);
}

static void what_is_not_memory_passes_uncounted(void **unused)
{
    struct ledger_counts before = ledger_counts();
    (void)unused;
    assert_int_equal(caller_call(CALLER_SYSCALL_GETPID, NULL, 0), getpid());
    assert_int_equal(ledger_counts().calls, before.calls);
}

static void results_are_libcs(void **unused)
{
    (void)unused;
    ledger_watch(NULL, NULL); /* ours reads what it is told of, and there is nothing */
    errno = 0;
    assert_int_equal(caller_call(CALLER_MUNMAP, (void *)1, PAGE), -1);
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_ptr_equal(caller_map((size_t)1 << 50), MAP_FAILED);
    assert_int_equal(errno, ENOMEM);
    assert_int_equal(syscall(-1), -1);
    assert_int_equal(errno, ENOSYS);
}

static void releases_are_told_beforehand(void **unused)
{
    (void)unused;
    unsigned char *p = map(4);
    assert_int_equal(caller_call(CALLER_DISCARD, p, PAGE), 0);
    assert_released(SYS_madvise, p, PAGE);
    assert_int_equal(caller_call(CALLER_MUNLOCK, p + PAGE + 100, 10), 0);
    assert_released(SYS_munlock, p + PAGE, PAGE);
    assert_int_equal(caller_call(CALLER_MUNLOCK, p + 2 * PAGE - 1, 2), 0);
    assert_released(SYS_munlock, p + PAGE, 2 * PAGE);
    assert_ptr_equal(caller_map_over(p + PAGE, 1), p + PAGE);
    assert_released(SYS_mmap, p + PAGE, PAGE);
    assert_int_equal(caller_call(CALLER_MUNMAP, p + 2 * PAGE, 2 * PAGE), 0);
    assert_released(SYS_munmap, p + 2 * PAGE, 2 * PAGE);
    assert_int_equal(caller_call(CALLER_MUNLOCKALL, NULL, 0), 0);
    assert_int_equal(seen.call, SYS_munlockall);
    assert_true(seen.size == SIZE_MAX);
    assert_int_equal(munmap(p, 2 * PAGE), 0);
}

static void what_gives_nothing_back_is_not_told(void **unused)
{
    (void)unused;
    unsigned char *p = map(2);
    assert_int_equal(caller_call(CALLER_MLOCK, p, PAGE), 0);
    assert_int_equal(caller_call(CALLER_DONTDUMP, p, PAGE), 0);
    assert_int_equal(caller_call(CALLER_MPROTECT, p, PAGE), 0);
    assert_int_equal(seen.count, 0);
    assert_int_equal(munmap(p, 2 * PAGE), 0);
}

static void mremap_tells_tails_and_targets(void **unused)
{
    (void)unused;
    unsigned char *p = map(3), *other = map(2);
    assert_ptr_equal(caller_move(p, 3, 1, NULL), p);
    assert_released(SYS_mremap, p + PAGE, 2 * PAGE);
    assert_ptr_equal(caller_move(p, 1, 1, other), other);
    assert_released(SYS_mremap, other, PAGE);
    assert_int_equal(other[0], SECRET); /* moved along */
    p = caller_move(other, 1, 3, NULL);
    assert_ptr_not_equal(p, MAP_FAILED);
    assert_int_equal(seen.count, 0);
    assert_int_equal(munmap(p, 3 * PAGE), 0);
    assert_int_equal(munmap(other + PAGE, PAGE), 0);
}

static void the_nth_call_fails(void **unused)
{
    (void)unused;
    unsigned char *p = map(1);
    uint64_t faults = ledger_counts().faults;
    ledger_fail(MODEL_CALL_LOCK, 2, EAGAIN, false, false);
    assert_int_equal(caller_call(CALLER_MPROTECT, p, PAGE), 0); /* of another kind */
    assert_int_equal(caller_call(CALLER_MLOCK, p, PAGE), 0);
    errno = 0;
    assert_int_equal(caller_call(CALLER_MLOCK2, p, PAGE), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(caller_call(CALLER_MLOCK, p, PAGE), 0);
    assert_int_equal(ledger_counts().faults - faults, 1);
    assert_int_equal(munmap(p, PAGE), 0);
}

static void each_kind_can_fail(void **unused)
{
    unsigned char *p = map(1);
    (void)unused;
    for (unsigned kind = 0; kind < MODEL_CALLS; kind++)
        ledger_fail(kind, 1, EPERM, false, true);
    seen.count = 0;
    assert_ptr_equal(caller_map(1), MAP_FAILED);
    assert_int_equal(caller_call(CALLER_MPROTECT, p, PAGE), -1);
    assert_int_equal(caller_call(CALLER_DISCARD, p, PAGE), -1);
    assert_int_equal(caller_call(CALLER_MUNMAP, p, PAGE), -1);
    assert_int_equal(caller_call(CALLER_MUNLOCK, p, PAGE), -1);
    assert_int_equal(caller_call(CALLER_MLOCKALL, p, PAGE), -1);
    assert_int_equal(caller_call(CALLER_SYSCALL_MLOCK, p, PAGE), -1);
    assert_int_equal(caller_call(CALLER_GETRANDOM, p, PAGE), -1);
    assert_int_equal(caller_call(CALLER_GETENTROPY, p, PAGE), -1);
    assert_int_equal(syscall(447 /* memfd_secret */, 0), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(seen.count, 0); /* nothing was given back */
    assert_int_equal(p[0], SECRET);
    ledger_fail(0, 0, 0, false, false);
    assert_int_equal(caller_call(CALLER_MUNMAP, p, PAGE), 0);
}

static void a_fault_stays_on_until_healed(void **unused)
{
    (void)unused;
    unsigned char *p = map(1);
    ledger_fail(MODEL_CALL_LOCK, 2, ENOMEM, false, true);
    assert_int_equal(caller_call(CALLER_MLOCK, p, PAGE), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(caller_call(CALLER_MLOCK, p, PAGE), -1);
    ledger_fail(0, 0, 0, false, false);
    assert_int_equal(caller_call(CALLER_MLOCK, p, PAGE), 0);
    assert_int_equal(munmap(p, PAGE), 0);
}

static void a_fault_may_come_after_the_effect(void **unused)
{
    (void)unused;
    unsigned char *p = map(1);
    ledger_fail(MODEL_CALL_LOCK, 1, ENOMEM, true, false);
    assert_int_equal(caller_call(CALLER_MLOCK, p, PAGE), -1);
    assert_int_equal(madvise(p, PAGE, 21), -1); /* it is locked */
    ledger_fail(MODEL_CALL_MUNMAP, 1, ENOMEM, true, false);
    assert_int_equal(caller_call(CALLER_MUNMAP, p, PAGE), -1);
    assert_released(SYS_munmap, p, PAGE);
    assert_int_equal(madvise(p, PAGE, MADV_NORMAL), -1); /* it is gone */
}

static void disarmed_faults_wait(void **unused)
{
    (void)unused;
    unsigned char *p = map(1);
    ledger_fail(MODEL_CALL_LOCK, 1, ENOMEM, false, false);
    ledger_arm(false);
    assert_int_equal(caller_call(CALLER_MLOCK, p, PAGE), 0);
    ledger_arm(true);
    assert_int_equal(caller_call(CALLER_MLOCK, p, PAGE), -1);
    assert_int_equal(munmap(p, PAGE), 0);
}

static void nobody_has_to_watch(void **unused)
{
    (void)unused;
    unsigned char *p = map(1);
    ledger_watch(NULL, NULL);
    assert_int_equal(caller_call(CALLER_MUNMAP, p, PAGE), 0);
    assert_int_equal(seen.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(locks_are_real, fresh),
        cmocka_unit_test_setup(calls_from_another_object_are_counted, fresh),
        cmocka_unit_test_setup(what_is_not_memory_passes_uncounted, fresh),
        cmocka_unit_test_setup(results_are_libcs, fresh),
        cmocka_unit_test_setup(releases_are_told_beforehand, fresh),
        cmocka_unit_test_setup(what_gives_nothing_back_is_not_told, fresh),
        cmocka_unit_test_setup(mremap_tells_tails_and_targets, fresh),
        cmocka_unit_test_setup(the_nth_call_fails, fresh),
        cmocka_unit_test_setup(each_kind_can_fail, fresh),
        cmocka_unit_test_setup(a_fault_stays_on_until_healed, fresh),
        cmocka_unit_test_setup(a_fault_may_come_after_the_effect, fresh),
        cmocka_unit_test_setup(disarmed_faults_wait, fresh),
        cmocka_unit_test_setup(nobody_has_to_watch, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
