/* SPDX-License-Identifier: MIT */
/*
 * test_emit.c: an emitted program compiles without a warning, whatever operations it has, and says
 * what happened when it runs.
 *
 * The environment names a compiler (CC) and the directory of the fixtures (FIXTURES); files go to a
 * directory of this test's own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "model/emit.h"

static char directory[64], output[16384];
static struct model_program program;

static void emit(const char *text, const char *variant)
{
    char error[128], path[512];
    if (!model_program_parse(&program, text, NULL, error, sizeof error))
        fail_msg("%s", error);
    snprintf(path, sizeof path, "%s/program.c", directory);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    snprintf(path, sizeof path, "%s/leaky.so", getenv("FIXTURES"));
    assert_true(model_emit_c(&program, path, variant, out));
    assert_int_equal(fclose(out), 0);
}

/* Runs a command, its output into `output`; returns its exit status. */
static int run(const char *command)
{
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    output[fread(output, 1, sizeof output - 1, pipe)] = '\0';
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void compile_with(const char *flags, const char *libraries)
{
    char command[512];
    snprintf(command, sizeof command,
             "%s %s -Wall -Wextra -Werror -rdynamic -o %s/program %s/program.c %s 2>&1",
             getenv("CC"), flags, directory, directory, libraries);
    if (run(command) != 0)
        fail_msg("does not compile: %s", output);
}

static void compile(const char *flags)
{
    compile_with(flags, "-ldl -lpthread");
}

/* To assembler: what nobody uses is complained of, and it takes less time than a program. */
static void compile_only(const char *flags)
{
    char command[256];
    snprintf(command, sizeof command, "%s -S -Wno-unused-command-line-argument", flags);
    compile_with(command, "");
}

/* Exit status 128 + n: killed by signal n, as the shell has it. */
static void emitted_run_ends(const char *text, int status)
{
    char command[256];
    emit(text, NULL);
    compile("-O1");
    snprintf(command, sizeof command, "%s/program 2>&1; exit $?", directory);
    int ended = run(command);
    if (ended != status)
        fail_msg("ended with %d, not %d: %s", ended, status, output);
}

static void assert_said(const char *line)
{
    if (strstr(output, line) == NULL)
        fail_msg("'%s' is missing in: %s", line, output);
}

static const char *const lines[] = {
    "privileged",
    "limit 2*page",
    "open",
    "open -5",
    "close",
    "fail memfd-secret 255 4095 after on",
    "heal",
    "baton",
    "alloc s0 page-1",
    "alloc s1 max-7",
    "alloc s1 half+1",
    "alloc s2 table:5",
    "alloc-aligned s31 -2147483648 2147483648",
    "free s0",
    "resize s1 -3*page+2",
    "fill s2",
    "fill s2 usable",
    "check s3",
    "look s4",
    "peek s5",
    "protect s6 none",
    "touch s7 after read 0",
    "touch s7 before write 15",
    "walk s8 before 2*page",
    "smash s9 after 1",
    "stale s10 write",
    "misuse s11 double-free",
    "misuse s11 interior-free 16",
    "misuse s11 foreign-free",
    "misuse s11 wrong-size -1",
    "fork raw use",
    "crowd 32 full",
    "crowd table:5 131072",
    "crowd-look",
    "crowd-free every-other",
    "storm 100 64 3",
};
#define LINES (sizeof lines / sizeof lines[0])

static void each_operation_alone_compiles(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < LINES; i++) {
        emit(lines[i], "x");
        compile_only("-std=c17");
    }
    emit("", NULL);
    compile_only("");
}

static void emit_all_lines(void)
{
    char text[2048] = "";
    for (size_t i = 0; i < LINES; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s\n", lines[i]);
    emit(text, NULL);
}

static void all_operations_together_compile(void **unused)
{
    bool seen[MODEL_CODES] = {false};
    (void)unused;
    emit_all_lines();
    for (size_t i = 0; i < program.count; i++)
        seen[program.operations[i].code] = true;
    for (unsigned code = 0; code < MODEL_CODES; code++)
        assert_true(seen[code]);
    compile("-O2 -std=c17");
    compile("-O0 -std=gnu11");
}

/* To a whole program: what another C library defines too shows when they are linked. */
static void another_c_library_will_do(void **unused)
{
    char command[512];
    (void)unused;
    if (run("musl-gcc --version 2>&1") != 0)
        skip(); /* package musl-tools; `./dev elsewhere` installs it */
    emit_all_lines();
    snprintf(command, sizeof command,
             "(musl-gcc -std=c17 -Wall -Wextra -Werror -rdynamic -o %s/program %s/program.c && "
             "%s/program /nowhere.so) 2>&1",
             directory, directory, directory);
    if (run(command) != 2) /* it ran, and found no subject */
        fail_msg("musl: %s", output);
}

static void what_is_wrong_is_said(void **unused)
{
    (void)unused;
    emitted_run_ends("open\nalloc s0 100\nfill s0\ncheck s0\nlook s0\nfree s0\npeek s0\n"
                     "misuse s0 double-free\n",
                     1);
    assert_said("  1  alloc s0 100\n      100 bytes at 0x");
    assert_said("  3  check s0\n      all 100 bytes are what was planted\n");
    assert_said("BAD: only 0 of 1 pages are locked");
    assert_said("BAD: after free, 100 of 100 secret bytes are still there");
    assert_said("BAD: 100 of 100 freed bytes are still there");
    assert_said("BAD: free returned as if nothing were wrong");
    assert_said("the program ran to its end");
}

static void what_is_given_back_unwiped_is_said(void **unused)
{
    (void)unused;
    emitted_run_ends("open\nalloc s0 5000\nfill s0\nfree s0\nstale s0 read\n", 1);
    assert_said("BAD: munmap with 5000 of 5000 bytes of s0 still there");
    assert_said("0 of 2 pages of the freed secret could be touched");
}

static void what_a_cut_leaves_behind_is_said(void **unused)
{
    (void)unused;
    emitted_run_ends("open\nalloc s0 66\nfill s0\nresize s0 33\ncheck s0\n", 1);
    assert_said("BAD: behind what is left of it, 24 of 24 secret bytes are still there");
    assert_said("all 33 bytes are what was planted");
    emitted_run_ends(
        "open\nalloc s0 66\nfill s0 usable\nprotect s0 none\nresize s0 7\n"
        "check s0\nfill s0\nresize s0 60\nresize s0 80\nalloc s1 44\nfill s1\nresize s1 33\n"
        "alloc s2 66\nresize s2 8\nresize s2 max\n",
        0); /* of s1 no whole word is left, s2 was never filled, s0 has 7 bytes that are known */
    assert_said("all 7 bytes are what was planted");
}

static void what_is_fine_is_not_complained_of(void **unused)
{
    (void)unused;
    emitted_run_ends("open\nalloc s0 100\nfill s0\ncheck s0\ntouch s0 inside write 99\n"
                     "alloc s1 max\nbaton\nalloc s2 8\nbaton\nfork libc\nclose\n",
                     1); /* but for the child, who can read it */
    assert_said("BAD: the child can read s0");
    emitted_run_ends("open\nalloc s0 100\ncheck s0\nalloc s0 1\nalloc s1 max\nbaton\nalloc s2 8\n"
                     "fork libc\nclose\n",
                     0);
    assert_said("  2  check s0\n      skipped\n");
    assert_said("refused: errno 12");
    assert_null(strstr(output, "BAD"));
}

static void faults_strike(void **unused)
{
    (void)unused;
    emitted_run_ends("open\nfail mmap 1 EAGAIN on\nalloc s0 5000\nheal\nalloc s1 5000\n", 1);
    assert_said("made to fail with errno 11");
    assert_said("bytes at 0xffffffffffffffff"); /* this allocator does not look */
}

static void another_subject_can_be_named(void **unused)
{
    char command[512];
    (void)unused;
    emitted_run_ends("open\n", 0);
    snprintf(command, sizeof command, "%s/program /nowhere.so 2>&1", directory);
    assert_int_equal(run(command), 2);
    assert_said("/nowhere.so");
    snprintf(command, sizeof command, "%s/program %s/leaky.so other 2>&1", directory,
             getenv("FIXTURES"));
    assert_int_equal(run(command), 2);
    assert_said("has no variant 'other'");
}

static void names_cannot_break_out(void **unused)
{
    char error[64], path[512];
    (void)unused;
    assert_true(model_program_parse(&program, "open\n", NULL, error, sizeof error));
    snprintf(path, sizeof path, "%s/program.c", directory);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_true(model_emit_c(&program, "a\"b\\c\n*/?\?/d", "\"", out));
    fclose(out);
    compile_only("-std=c17");
}

static void a_full_disk_is_told(void **unused)
{
    FILE *out = fopen("/dev/full", "w");
    (void)unused;
    if (out == NULL)
        skip();
    assert_false(model_emit_c(&program, "x", NULL, out));
    fclose(out);
}

static int make_directory(void **unused)
{
    (void)unused;
    snprintf(directory, sizeof directory, "/tmp/model-emit-XXXXXX");
    return mkdtemp(directory) == NULL;
}

static int remove_directory(void **unused)
{
    static const char *const names[] = {"program.c", "program"};
    char path[128];
    (void)unused;
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        unlink(path);
    }
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_operation_alone_compiles),
        cmocka_unit_test(all_operations_together_compile),
        cmocka_unit_test(another_c_library_will_do),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(what_is_given_back_unwiped_is_said),
        cmocka_unit_test(what_a_cut_leaves_behind_is_said),
        cmocka_unit_test(what_is_fine_is_not_complained_of),
        cmocka_unit_test(faults_strike),
        cmocka_unit_test(another_subject_can_be_named),
        cmocka_unit_test(names_cannot_break_out),
        cmocka_unit_test(a_full_disk_is_told),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
