/*
 * cmocka.h - just so much of cmocka's interface as the tests use, for C libraries and processors that it is not
 * packaged for. Used by `run` in this folder only; everywhere else the real one is.
 */
#ifndef ELSEWHERE_CMOCKA_H
#define ELSEWHERE_CMOCKA_H

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*function)(void **state);
};

#define cmocka_unit_test(function) \
    {                              \
#function, function        \
    }

static jmp_buf elsewhere_exit;
enum { ELSEWHERE_FAILED = 1, ELSEWHERE_SKIPPED };

static inline void elsewhere_fail(const char *file, int line, const char *what)
{
    printf("%s:%d: failed: %s\n", file, line, what);
    longjmp(elsewhere_exit, ELSEWHERE_FAILED);
}

#define ELSEWHERE_CHECK(condition, what) \
    ((condition) ? (void)0 : elsewhere_fail(__FILE__, __LINE__, what))
#define assert_true(value) ELSEWHERE_CHECK(value, #value)
#define assert_false(value) ELSEWHERE_CHECK(!(value), "not " #value)
#define assert_null(pointer) ELSEWHERE_CHECK((pointer) == NULL, #pointer " is null")
#define assert_non_null(pointer) ELSEWHERE_CHECK((pointer) != NULL, #pointer " is not null")
#define assert_int_equal(a, b) ELSEWHERE_CHECK((uintmax_t)(a) == (uintmax_t)(b), #a " == " #b)
#define assert_int_not_equal(a, b) ELSEWHERE_CHECK((uintmax_t)(a) != (uintmax_t)(b), #a " != " #b)
#define assert_ptr_equal(a, b) ELSEWHERE_CHECK((a) == (b), #a " == " #b)
#define assert_ptr_not_equal(a, b) ELSEWHERE_CHECK((a) != (b), #a " != " #b)
#define assert_string_equal(a, b) ELSEWHERE_CHECK(strcmp(a, b) == 0, #a " == " #b)
#define assert_string_not_equal(a, b) ELSEWHERE_CHECK(strcmp(a, b) != 0, #a " != " #b)
#define assert_memory_not_equal(a, b, size) ELSEWHERE_CHECK(memcmp(a, b, size) != 0, #a " != " #b)
#define skip() longjmp(elsewhere_exit, ELSEWHERE_SKIPPED)

static const char *elsewhere_left_out = "", *elsewhere_only;

static inline void cmocka_set_skip_filter(const char *name)
{
    elsewhere_left_out = name;
}

static inline void cmocka_set_test_filter(const char *name)
{
    elsewhere_only = name;
}

static inline int elsewhere_leaves_out(const char *name)
{
    return strcmp(name, elsewhere_left_out) == 0 ||
           (elsewhere_only != NULL && strcmp(name, elsewhere_only) != 0);
}

static inline int elsewhere_run(const struct CMUnitTest *tests, size_t count)
{
    static const char *const endings[] = {"ok", "FAILED", "skipped"};
    static volatile int failed;
    for (volatile size_t i = 0; i < count; i++) {
        volatile int ending = setjmp(elsewhere_exit);
        if (ending == 0 && elsewhere_leaves_out(tests[i].name))
            ending = ELSEWHERE_SKIPPED;
        else if (ending == 0)
            tests[i].function(NULL);
        failed += ending == ELSEWHERE_FAILED;
        printf("%-8s %s\n", endings[ending], tests[i].name);
        fflush(stdout);
    }
    return failed;
}

#define cmocka_run_group_tests(tests, set_up, tear_down) \
    elsewhere_run(tests, sizeof(tests) / sizeof((tests)[0]))

#endif
