/* SPDX-License-Identifier: MIT */
/* afl.c: the target in AFL++'s persistent mode, its inputs in shared memory. Only afl-clang-fast compiles it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz/target.h"

#define PROGRAMS_A_PROCESS 20000

__AFL_FUZZ_INIT();

/* An object that was compiled for AFL++ has to be there before the server is, which sizes its map by it. */
static bool is_instrumented(const char *path)
{
    static const char symbol[] = "__afl_area_ptr";
    struct stat about;
    int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &about) != 0 || about.st_size == 0)
        return false;
    size_t size_bytes = (size_t)about.st_size;
    void *bytes = mmap(NULL, size_bytes, PROT_READ, MAP_PRIVATE, file, 0);
    (void)close(file);
    if (bytes == MAP_FAILED)
        return false;
    bool found = memmem(bytes, size_bytes, symbol, sizeof symbol - 1) != NULL;
    (void)munmap(bytes, size_bytes);
    return found;
}

/* Any other is loaded by each of the server's children: locks and threads that it has from then on do not survive a fork. */
int main(void)
{
    bool early = is_instrumented(getenv("STRONGROOM_SUBJECT"));
    if (early)
        target_start();
    if (early && target_is_bound_to_process()) {
        (void)fputs(
            "fuzz: the subject locks memory or begins threads while it is loaded, which do not survive a fork: "
            "give one that was not compiled by AFL++\n",
            stderr);
        return 2;
    }
    __AFL_INIT();
    if (!early)
        target_start();
    const uint8_t *bytes = __AFL_FUZZ_TESTCASE_BUF;
    while (__AFL_LOOP(PROGRAMS_A_PROCESS))
        target_run_or_abort(bytes, (size_t)__AFL_FUZZ_TESTCASE_LEN);
    return 0;
}
