/* SPDX-License-Identifier: MIT */
/* afl.c: the target in AFL++'s persistent mode, its inputs in shared memory. Only afl-clang-fast compiles it. */
#include <unistd.h>

#include "fuzz/target.h"

#define PROGRAMS_A_PROCESS 20000

__AFL_FUZZ_INIT();

int main(void)
{
    target_start();
    __AFL_INIT();
    const uint8_t *bytes = __AFL_FUZZ_TESTCASE_BUF;
    while (__AFL_LOOP(PROGRAMS_A_PROCESS))
        target_run_or_abort(bytes, (size_t)__AFL_FUZZ_TESTCASE_LEN);
    return 0;
}
