/* SPDX-License-Identifier: MIT */
/*
 * test_forked.c: an engine may fork between the start and the first program: what belongs to a process, its memory and its
 * locks, is then looked at in the child.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fuzz/target.h"
#include "model/program.h"

/* It reaches each file under /proc: the quota after a refusal, released memory that was and that was not touched. */
static const char *const text =
    "strongroom program 1\nopen\nalloc s0 40\nfill s0\nalloc s1 20*page\nfill s1\nalloc s2 max\n"
    "free s1\nprotect s0 none\nclose\n";

static int run_in_child(const uint8_t *bytes, size_t count_bytes)
{
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        const struct violation *violation = target_run(bytes, count_bytes);
        if (violation != NULL)
            target_print(violation, target_subject());
        const struct target_counts *counts = target_counts();
        bool looked = counts->checks[ORACLE_QUOTA] == 2 && counts->checks[ORACLE_RELEASED] > 0;
        _exit(violation != NULL ? 1 : looked ? 0 : 2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void a_child_looks_at_itself(void **unused)
{
    static struct model_program program;
    uint8_t bytes[256];
    char error[160];
    (void)unused;
    assert_true(model_program_parse(&program, text, NULL, error, sizeof error));
    size_t count_bytes = model_program_encode(&program, bytes, sizeof bytes);
    target_start();
    assert_int_equal(run_in_child(bytes, count_bytes), 0);
    assert_null(target_run(bytes, count_bytes)); /* and so does the parent, afterwards */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_child_looks_at_itself)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
