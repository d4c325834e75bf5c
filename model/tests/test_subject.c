/* SPDX-License-Identifier: MIT */
/*
 * test_subject.c: which tables load and what is said of those that do not.
 *
 * The fixtures lie in the directory named by the environment variable FIXTURES. Every entry in them
 * aborts, so that a loader that calls one is found out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "model/subject.h"

static struct model_subject subject;
static char error[512];

static bool load(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s.so", getenv("FIXTURES"), name);
    error[0] = '\0';
    return model_subject_load(&subject, path, error, sizeof error);
}

static void assert_loads(const char *name)
{
    if (!load(name))
        fail_msg("%s: %s", name, error);
}

static void a_good_table_loads(void **unused)
{
    (void)unused;
    assert_loads("good");
    assert_int_equal(subject.count, 1);
    const struct secret_alloc *v = model_subject_find(&subject, "good");
    assert_non_null(v);
    assert_string_equal(v->version, "1.2");
    assert_string_equal(v->claims[1], "something-new");
    assert_int_equal(v->min_align, 64);
    assert_int_equal(model_subject_entries(v), MODEL_ENTRY_CLOSE | MODEL_ENTRY_RESIZE);
}

static void variants_are_found_by_name(void **unused)
{
    (void)unused;
    assert_loads("good");
    assert_ptr_equal(model_subject_find(&subject, NULL), &subject.variants[0]);
    assert_ptr_equal(model_subject_find(&subject, ""), &subject.variants[0]);
    assert_null(model_subject_find(&subject, "goo"));
    assert_loads("two");
    assert_int_equal(subject.count, 2);
    assert_null(model_subject_find(&subject, NULL));
    assert_ptr_equal(model_subject_find(&subject, "two-b"), &subject.variants[1]);
}

static void an_old_table_is_filled_up_with_nothing(void **unused)
{
    (void)unused;
    assert_loads("short_table");
    const struct secret_alloc *v = model_subject_find(&subject, "short");
    assert_non_null(v);
    assert_non_null(v->free);
    assert_null(v->close);
    assert_null(v->resize);
    assert_int_equal(model_subject_entries(v), 0);
}

static void a_new_table_is_cut(void **unused)
{
    (void)unused;
    assert_loads("long_table");
    const struct secret_alloc *v = model_subject_find(&subject, "long");
    assert_non_null(v);
    assert_true(v->size > sizeof *v);
    assert_null(v->locked_bytes);
}

static void each_wrong_table_is_told(void **unused)
{
    static const struct {
        const char *name, *error;
    } wrong[] = {
        {"no_symbol", "does not export strongroom_subjects"},
        {"other_abi", "does not serve contract version 1"},
        {"no_variant", "offers no variant"},
        {"no_open", "variant 'x': required entry 'open' is missing"},
        {"no_alloc", "variant 'x': required entry 'alloc' is missing"},
        {"no_free", "variant 'x': required entry 'free' is missing"},
        {"no_name", "variant 0: has no name"},
        {"bad_name", "variant 0: name 'Nice_Name' is not [a-z0-9-], 1 to 63 characters"},
        {"ugly_name", "variant 0: name 'a?b?[31m' is not [a-z0-9-], 1 to 63 characters"},
        {"long_name",
         "variant 0: name '0123456789012345678901234567890123456789012345678901234567890"
         "123' is not [a-z0-9-], 1 to 63 characters"},
        {"twice", "variant 1: name 'x' occurs twice"},
        {"no_version", "variant 'x': has no version"},
        {"no_library", "variant 'x': has no library"},
        {"unknown_flags", "variant 'x': flags 0x40 are not known"},
        {"crooked_align", "variant 'x': min_align 24 is not a power of two"},
        {"claims_resize", "variant 'x': claims 'zero-on-resize', which needs the entry 'resize'"},
        {"claims_close", "variant 'x': claims 'zero-on-close', which needs the entry 'close'"},
        {"claims_reopen", "variant 'x': claims 'reopen', which needs the entry 'close'"},
        {"claims_protect", "variant 'x': claims 'states', which needs the entry 'protect'"},
        {"bad_claim",
         "variant 'x': claim 'Locked!' is not a promise id ([a-z0-9-], 1 to 31 characters)"},
        {"many_claims", "variant 'x': more than 64 claims"},
        {"many_variants", "offers more than 32 variants"},
        {"no_size", "variant 0: size 0 is too small for a table"},
        {"stub_table", "variant 'stub': required entry 'open' is missing"},
    };
    (void)unused;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (load(wrong[i].name))
            fail_msg("%s was loaded", wrong[i].name);
        assert_string_equal(error, wrong[i].error);
        assert_int_equal(subject.count, 0);
    }
}

static void assert_not_shared(const char *path)
{
    assert_false(model_subject_load(&subject, path, error, sizeof error));
    if (strncmp(error, "not a shared object: ", 21) != 0)
        fail_msg("%s: %s", path, error);
    assert_null(strchr(error, '\n'));
}

static void what_is_no_shared_object_is_told(void **unused)
{
    (void)unused;
    assert_not_shared("/nowhere/at/all.so");
    assert_not_shared("/etc/passwd");
    assert_not_shared("libc.so.6"); /* a bare name is a file here, not one of the system's */
    assert_false(load("unresolved"));
    assert_non_null(strstr(error, "nowhere_to_be_found"));
}

static void a_small_error_buffer_is_enough(void **unused)
{
    char small[8];
    memset(small, 0x7e, sizeof small);
    (void)unused;
    assert_false(model_subject_load(&subject, "/nowhere", small, 5));
    assert_string_equal(small, "not ");
    assert_int_equal(small[5], 0x7e);
}

static void promises_need_entries(void **unused)
{
    (void)unused;
    assert_int_equal(model_claim_entries("locked"), 0);
    assert_int_equal(model_claim_entries("no-such-promise"), 0);
    assert_int_equal(model_claim_entries("zero-on-resize"), MODEL_ENTRY_RESIZE);
    assert_int_equal(model_claim_entries("zero-on-close"), MODEL_ENTRY_CLOSE);
    assert_int_equal(model_claim_entries("reopen"), MODEL_ENTRY_CLOSE);
    assert_int_equal(model_claim_entries("states"), MODEL_ENTRY_PROTECT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_table_loads),
        cmocka_unit_test(variants_are_found_by_name),
        cmocka_unit_test(an_old_table_is_filled_up_with_nothing),
        cmocka_unit_test(a_new_table_is_cut),
        cmocka_unit_test(each_wrong_table_is_told),
        cmocka_unit_test(what_is_no_shared_object_is_told),
        cmocka_unit_test(a_small_error_buffer_is_enough),
        cmocka_unit_test(promises_need_entries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
