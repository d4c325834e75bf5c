/* SPDX-License-Identifier: MIT */
/*
 * linked.c: the allocator as a part of the target: one file, as OSS-Fuzz wants it.
 *
 *     SUBJECT_FILE -> in the program's read-only data -> a memory file (else one in /tmp) -> loaded
 *
 * It stays a shared object inside of it, for the target copies the data of the objects that came with
 * its subject back before each program (fuzz/discard.h), and cannot do that with its own.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

__asm__(".pushsection .rodata\n"
        ".global subject_begin, subject_end\n"
        "subject_begin: .incbin \"" SUBJECT_FILE "\"\n"
        "subject_end: .byte 0\n"
        ".popsection\n");
extern const unsigned char subject_begin[], subject_end[];

/* Where the sandbox has no memfd_create, /tmp is writable. */
static int open_file(void)
{
    char name[] = "/tmp/subject.XXXXXX";
    int fd = memfd_create("subject", 0);

    if (fd < 0 && (fd = mkstemp(name)) >= 0)
        (void)unlink(name);
    return fd;
}

static int write_all(int fd)
{
    for (const unsigned char *at = subject_begin; at < subject_end;) {
        ssize_t written = write(fd, at, (size_t)(subject_end - at));
        if (written < 0 && errno != EINTR)
            return -1;
        at += written > 0 ? written : 0;
    }
    return 0;
}

/* Before anything of the engine's: what the target is to run comes from the environment. */
__attribute__((constructor)) static void place_subject(void)
{
    char path[64];
    int fd = open_file();

    if (fd < 0 || write_all(fd) != 0) {
        fprintf(stderr, "cannot write the allocator anywhere: %s\n", strerror(errno));
        _exit(2);
    }
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    (void)setenv("STRONGROOM_SUBJECT", path, 1);
    (void)setenv("STRONGROOM_VARIANT", SUBJECT_VARIANT, 1);
}

/* The signals are the subject's to cause and the target's to judge; ASAN_OPTIONS may say otherwise. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0:handle_segv=0:handle_sigbus=0:handle_abort=0:handle_sigill=0:handle_sigfpe=0:"
           "allocator_may_return_null=1";
}
