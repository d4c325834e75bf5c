/* SPDX-License-Identifier: MIT */
/* The search finds a secret wherever it begins in the pool, and nothing where there is none. */
#include "suite/observe/target.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "suite/case/protocol.h"

#define SECRET_BYTES 15u             /* eight windows, with one byte in all of them */
#define STARTS (3 * CASE_ZERO_EVERY) /* each place of a zero in a secret */

static struct secrets secrets;
static struct target_memory memory = {.mem_fd = -1, .pagemap_fd = -1};
static unsigned char *pages;

struct count {
    uint32_t
        start; /* of the secret, in the pool: a zero beside it in memory may be its neighbour's there */
    unsigned found;
};

static bool count(void *arg, uint64_t address, uint32_t pool_position)
{
    struct count *count = arg;
    (void)address;
    count->found += pool_position >= count->start &&
                    pool_position + SECRETS_WINDOW_BYTES <= count->start + SECRET_BYTES;
    return true;
}

/* How many windows of the secret that begins at `start` in the pool are found. */
static unsigned windows_in(size_t size_bytes, size_t start)
{
    struct count found = {.start = (uint32_t)start};
    target_search(&memory, false, &secrets, (uintptr_t)pages, size_bytes, count, &found);
    return found.found;
}

static void each_window_of_a_secret_is_found_zero_byte_or_not(void **state)
{
    (void)state;
    for (size_t start = 0; start < STARTS; start++)
        for (size_t at = 0; at < 2 * SECRETS_WINDOW_BYTES; at++) {
            memset(pages, 0, memory.page_bytes);
            for (size_t i = 0; i < SECRET_BYTES; i++)
                pages[at + i] = secrets_byte(&secrets, start + i);
            assert_int_equal(windows_in(memory.page_bytes, start),
                             SECRET_BYTES - SECRETS_WINDOW_BYTES + 1);
        }
}

static void a_secret_that_goes_on_over_the_end_of_a_page_is_found(void **state)
{
    (void)state;
    unsigned char *at = pages + memory.page_bytes - 3;
    memset(pages, 0, 2 * memory.page_bytes);
    for (size_t i = 0; i < SECRETS_WINDOW_BYTES; i++)
        at[i] = secrets_byte(&secrets, i);
    assert_int_equal(windows_in(2 * memory.page_bytes, 0), 1);
}

static void what_is_wiped_up_to_seven_bytes_is_not_found(void **state)
{
    (void)state;
    memset(pages, 0, memory.page_bytes);
    assert_int_equal(windows_in(memory.page_bytes, 0), 0);
    for (size_t i = 0; i + 1 < SECRETS_WINDOW_BYTES; i++)
        pages[i] = secrets_byte(&secrets, i);
    assert_int_equal(windows_in(memory.page_bytes, 0), 0);
}

static int set_up(void **state)
{
    (void)state;
    memory.page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    memory.mem_fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    memory.pagemap_fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    pages = mmap(NULL, 2 * memory.page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                 -1, 0);
    return memory.mem_fd < 0 || pages == MAP_FAILED || !secrets_open(&secrets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_window_of_a_secret_is_found_zero_byte_or_not),
        cmocka_unit_test(a_secret_that_goes_on_over_the_end_of_a_page_is_found),
        cmocka_unit_test(what_is_wiped_up_to_seven_bytes_is_not_found),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
