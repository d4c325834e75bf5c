/* SPDX-License-Identifier: MIT */
/* test_program.c: sizes, and programs as bytes and as text. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "model/program.h"

#define PAGE ((size_t)4096)

static struct model_program one, two;
static char text[MODEL_OPERATIONS_MAX * 64];
static uint8_t bytes[(MODEL_OPERATIONS_MAX + 2) * MODEL_RECORD_BYTES];

/* A generator of our own: the same bytes on every machine. */
static uint64_t state = 1;
static uint8_t any_byte(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint8_t)(state >> 32);
}

static void any_bytes(uint8_t *out, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[i] = any_byte();
}

static void assert_same(const struct model_program *a, const struct model_program *b)
{
    assert_int_equal(a->flags, b->flags);
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        const struct model_operation *x = &a->operations[i], *y = &b->operations[i];
        assert_int_equal(x->code, y->code);
        assert_int_equal(x->slot, y->slot);
        assert_int_equal(x->arg, y->arg);
        assert_int_equal(x->size.kind, y->size.kind);
        assert_int_equal(x->size.value, y->size.value);
    }
}

/* -------------------------------------------------------------------------------------- sizes */

static size_t bytes_of(const char *size_text)
{
    struct model_size size;
    assert_true(model_size_parse(size_text, &size));
    return model_size_bytes(size, PAGE);
}

static void sizes_stand_for_bytes(void **unused)
{
    (void)unused;
    assert_int_equal(bytes_of("0"), 0);
    assert_int_equal(bytes_of("4096"), 4096);
    assert_int_equal(bytes_of("page"), PAGE);
    assert_int_equal(bytes_of("page-1"), PAGE - 1);
    assert_int_equal(bytes_of("3*page+17"), 3 * PAGE + 17);
    assert_int_equal(bytes_of("0*page+5"), 5);
    assert_int_equal(bytes_of("-1"), SIZE_MAX);
    assert_int_equal(bytes_of("-2*page"), (size_t)0 - 2 * PAGE);
    assert_int_equal(bytes_of("max"), SIZE_MAX);
    assert_int_equal(bytes_of("max-7"), SIZE_MAX - 7);
    assert_int_equal(bytes_of("max+1"), 0);
    assert_int_equal(bytes_of("half"), SIZE_MAX / 2);
    assert_int_equal(bytes_of("half+1"), SIZE_MAX / 2 + 1);
    assert_int_equal(bytes_of("half-1"), SIZE_MAX / 2 - 1);
    assert_int_equal(bytes_of("table:0"), 0);
    assert_int_equal(bytes_of("table:63"), SIZE_MAX);
}

static void sizes_that_are_none(void **unused)
{
    static const char *const none[] = {"",           "x",
                                       "page*2",     "1e3",
                                       "0x10",       "page-",
                                       "page+1x",    "maxi",
                                       "max7",       "table:",
                                       "table:64",   "table:-1",
                                       "half*",      "99999999999",
                                       "--1",        "+1",
                                       "40000*page", "page-32769",
                                       "-page",      "3*",
                                       "3page",      "max-4294967297"};
    struct model_size size;
    (void)unused;
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        if (model_size_parse(none[i], &size))
            fail_msg("'%s' was taken for a size", none[i]);
}

static void table_has_no_empty_places(void **unused)
{
    (void)unused;
    for (unsigned i = 0; i < MODEL_SIZE_TABLE_ENTRIES; i++)
        for (unsigned j = 0; j < i; j++)
            assert_int_not_equal(model_size_bytes(model_size_interesting(i), PAGE),
                                 model_size_bytes(model_size_interesting(j), PAGE));
}

static void every_size_survives_its_text(void **unused)
{
    static const int32_t values[] = {0,       1,       -1,       2,         INT32_MAX,
                                     0x10000, 0x1ffff, -0x10000, INT32_MIN, 0x7fff8000};
    char size_text[32];
    struct model_size read;
    (void)unused;
    for (int kind = 0; kind < MODEL_SIZE_TABLE; kind++)
        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
            struct model_size size = {.kind = (uint8_t)kind, .value = values[i]};
            model_size_print(size, size_text, sizeof size_text);
            if (!model_size_parse(size_text, &read) || read.kind != size.kind ||
                read.value != size.value)
                fail_msg("kind %d value %d: '%s' reads as kind %d value %d", kind, values[i],
                         size_text, read.kind, read.value);
        }
}

/* -------------------------------------------------------------------------------------- bytes */

static void any_bytes_are_a_program(void **unused)
{
    (void)unused;
    for (size_t length = 0; length < sizeof bytes; length += 1 + length / 16) {
        uint8_t *exact = malloc(length + 1);
        any_bytes(exact, length);
        model_program_decode(&one, exact, length);
        assert_true(one.count <= MODEL_OPERATIONS_MAX);
        assert_true(one.count <= length / MODEL_RECORD_BYTES);
        free(exact);
    }
}

static void bytes_and_text_round_trip(void **unused)
{
    char error[128];
    (void)unused;
    for (int round = 0; round < 200; round++) {
        any_bytes(bytes, sizeof bytes);
        model_program_decode(&one, bytes, sizeof bytes);
        one.flags = round % 2 == 0 ? MODEL_KEEP_IPC_LOCK : 0;
        size_t length = model_program_encode(&one, bytes, sizeof bytes);
        assert_int_equal(length, (one.count + 1) * MODEL_RECORD_BYTES);
        model_program_decode(&two, bytes, length);
        assert_same(&one, &two);

        length = model_program_print(&one, text, sizeof text);
        assert_true(length < sizeof text);
        assert_int_equal(length, strlen(text));
        if (!model_program_parse(&two, text, NULL, error, sizeof error))
            fail_msg("what was printed does not read: %s", error);
        assert_same(&one, &two);
    }
}

static void every_code_is_reached_by_bytes(void **unused)
{
    (void)unused;
    for (unsigned code = 0; code < 256; code++) {
        uint8_t record[MODEL_RECORD_BYTES] = {(uint8_t)code};
        model_program_decode(&one, record, sizeof record);
        assert_int_equal(one.count, 1);
        assert_int_equal(one.operations[0].code, code % MODEL_CODES);
    }
}

static void one_flipped_bit_changes_one_operation(void **unused)
{
    (void)unused;
    any_bytes(bytes, 64 * MODEL_RECORD_BYTES);
    model_program_decode(&one, bytes, 64 * MODEL_RECORD_BYTES);
    assert_int_equal(one.count, 64);
    for (unsigned bit = 0; bit < 64 * MODEL_RECORD_BYTES * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        model_program_decode(&two, bytes, 64 * MODEL_RECORD_BYTES);
        two.operations[bit / 8 / MODEL_RECORD_BYTES] = one.operations[bit / 8 / MODEL_RECORD_BYTES];
        assert_same(&one, &two);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void encode_stays_within_its_room(void **unused)
{
    uint8_t room[24];
    (void)unused;
    assert_true(model_program_parse(&one, "open\nalloc s1 32\nfree s1", NULL, text, sizeof text));
    memset(room, 0xee, sizeof room);
    assert_int_equal(model_program_encode(&one, room, 11), 32);
    for (size_t i = 11; i < sizeof room; i++)
        assert_int_equal(room[i], 0xee);
    assert_memory_equal(room, "SRP\1", 4);
}

static void a_trailing_partial_record_is_dropped(void **unused)
{
    (void)unused;
    memset(bytes, 0, 32);
    model_program_decode(&one, bytes, 23);
    assert_int_equal(one.count, 2);
    model_program_decode(&one, (const uint8_t *)"SRP\1\1\0\0", 7);
    assert_int_equal(one.count, 0);
    model_program_decode(&one, (const uint8_t *)"SRP\1\1\0\0\0", 8);
    assert_int_equal(one.count, 0);
    assert_int_equal(one.flags, MODEL_KEEP_IPC_LOCK);
}

/* --------------------------------------------------------------------------------------- text */

static const char every_form[] = "strongroom program 1\n"
                                 "privileged\n"
                                 "limit 2*page\n"
                                 "open\n"
                                 "open 65536\n"
                                 "close\n"
                                 "fail lock 1 ENOMEM\n"
                                 "fail memfd-secret 255 4095 after on\n"
                                 "fail madvise 3 EAGAIN on\n"
                                 "heal\n"
                                 "baton\n"
                                 "alloc s0 page-1\n"
                                 "alloc-aligned s31 max-7 4096\n"
                                 "free s0\n"
                                 "resize s1 half+1\n"
                                 "fill s2\n"
                                 "fill s2 usable\n"
                                 "check s3\n"
                                 "look s4\n"
                                 "peek s5\n"
                                 "protect s6 none\n"
                                 "protect s6 read-write\n"
                                 "touch s7 after read 0\n"
                                 "touch s7 before write 15\n"
                                 "touch s7 inside write 3\n"
                                 "walk s8 before 2*page\n"
                                 "smash s9 after 1\n"
                                 "stale s10 write\n"
                                 "misuse s11 double-free\n"
                                 "misuse s11 interior-free\n"
                                 "misuse s11 interior-free 16\n"
                                 "misuse s11 foreign-free\n"
                                 "misuse s11 wrong-size -1\n"
                                 "fork libc\n"
                                 "fork raw use\n"
                                 "crowd 32 full\n"
                                 "crowd table:5 131072\n"
                                 "crowd-look\n"
                                 "crowd-free every-other\n"
                                 "storm page+1 256 4\n";

static void every_form_prints_as_it_was_read(void **unused)
{
    char error[128] = "";
    bool seen[MODEL_CODES] = {false};
    (void)unused;
    if (!model_program_parse(&one, every_form, NULL, error, sizeof error))
        fail_msg("%s", error);
    assert_int_equal(model_program_print(&one, text, sizeof text), sizeof every_form - 1);
    assert_string_equal(text, every_form);
    for (size_t i = 0; i < one.count; i++)
        seen[one.operations[i].code] = true;
    for (unsigned code = 0; code < MODEL_CODES; code++)
        assert_true(seen[code]);
}

static void fields_are_where_the_header_says(void **unused)
{
    const struct model_operation *op = one.operations;
    (void)unused;
    assert_true(model_program_parse(&one,
                                    "fail mprotect 7 EPERM after on\n"
                                    "alloc-aligned s3 8 64\n"
                                    "touch s2 inside write 5\n"
                                    "fork raw use\n"
                                    "crowd 8 16\n",
                                    NULL, text, sizeof text));
    assert_int_equal(op[0].arg, MODEL_CALL_MPROTECT);
    assert_int_equal(op[0].slot, 7);
    assert_int_equal(op[0].size.value, EPERM | MODEL_FAIL_AFTER | MODEL_FAIL_ON);
    assert_int_equal(op[1].arg, 6);
    assert_int_equal(op[2].arg, MODEL_INSIDE | MODEL_TOUCH_WRITE);
    assert_int_equal(op[3].arg, MODEL_FORK_RAW | MODEL_FORK_USE);
    assert_int_equal(op[4].arg, 4);
}

static void comments_and_blanks_are_skipped(void **unused)
{
    (void)unused;
    assert_true(model_program_parse(&one, "\n# all of it\n\t open # why\r\n\n  free   s3#x", NULL,
                                    text, sizeof text));
    assert_int_equal(one.count, 2);
    assert_int_equal(one.operations[1].slot, 3);
}

static void swept(const char *n_text, const char *line, const char *expected)
{
    struct model_size n;
    char error[128] = "", printed[128];
    assert_true(model_size_parse(n_text, &n));
    if (!model_program_parse(&one, line, &n, error, sizeof error))
        snprintf(printed, sizeof printed, "%s", error);
    else
        model_operation_print(&one.operations[0], printed, sizeof printed);
    assert_string_equal(printed, expected);
}

static void the_letter_n_is_the_size_swept(void **unused)
{
    (void)unused;
    swept("32", "alloc s0 n", "alloc s0 32");
    swept("32", "alloc s0 n+1", "alloc s0 33");
    swept("32", "alloc s0 2*n-3", "alloc s0 61");
    swept("page-1", "alloc s0 n", "alloc s0 page-1");
    swept("page-1", "alloc s0 2*n+1", "alloc s0 2*page-1");
    swept("max-7", "alloc s0 n+2", "alloc s0 max-5");
    swept("half", "alloc s0 n-2", "alloc s0 half-2");
    swept("table:1", "alloc s0 n", "alloc s0 table:1");
    swept("table:1", "alloc s0 n+1", "alloc s0 2");
    swept("max", "alloc s0 2*n", "line 1: alloc: '2*n' is out of range");
}

static void wrong_texts_are_told_exactly(void **unused)
{
    static const struct {
        const char *text, *error;
    } wrong[] = {
        {"allok s0 1", "line 1: 'allok' is not an operation"},
        {"open\n\nalloc x7 1", "line 3: alloc: 'x7' is not a slot (s0 to s31)"},
        {"alloc s32 1", "line 1: alloc: 's32' is not a slot (s0 to s31)"},
        {"alloc s1x 1", "line 1: alloc: 's1x' is not a slot (s0 to s31)"},
        {"alloc", "line 1: alloc: a slot is missing"},
        {"alloc s0", "line 1: alloc: a size is missing"},
        {"alloc s0 big",
         "line 1: alloc: 'big' is not a size (like 32, 3*page-1, max-7, half+1, table:5)"},
        {"alloc s0 n", "line 1: alloc: 'n': no size is being swept here"},
        {"alloc s0 1 2", "line 1: alloc: '2' is too much"},
        {"close now", "line 1: close: 'now' is too much"},
        {"misuse s0 double-free 3", "line 1: misuse: '3' is too much"},
        {"protect s0 all", "line 1: protect: 'all' is not an access (none, read, read-write)"},
        {"touch s0 above read 0", "line 1: touch: 'above' is not a side (after, before, inside)"},
        {"walk s0 inside 9", "line 1: walk: 'inside' is not a side (after, before)"},
        {"fail sync 1 EIO",
         "line 1: fail: 'sync' is not a system call (lock, mmap, mprotect, madvise, munmap, munlock, "
         "memfd-secret, getrandom)"},
        {"fail lock 0 EIO", "line 1: fail: '0' is not a call number (1 to 255)"},
        {"fail lock 256 EIO", "line 1: fail: '256' is not a call number (1 to 255)"},
        {"fail lock 1 EWHAT", "line 1: fail: 'EWHAT' is not an errno (a name or 1 to 4095)"},
        {"fail lock 1", "line 1: fail: an errno is missing"},
        {"alloc-aligned s0 8 24",
         "line 1: alloc-aligned: '24' is not an alignment (a power of two up to 2147483648)"},
        {"crowd 8 262144", "line 1: crowd: '262144' is not a count (a power of two up to 131072)"},
        {"fork vfork", "line 1: fork: 'vfork' is not a kind of fork (libc, raw)"},
        {"storm 8 3 2", "line 1: storm: '3' is not a number of rounds (a power of two up to 4096)"},
        {"storm 8 4 1", "line 1: storm: '1' is not a number of threads (2 to 8)"},
        {"crowd-free all", "line 1: crowd-free: 'all' is not an order (first, last, every-other)"},
        {"strongroom program 2", "line 1: program version 2 is not known (known: 1)"},
        {"strongroom", "line 1: the header is not 'strongroom program 1'"},
        {"open\nstrongroom program 1", "line 2: 'strongroom' is not an operation"},
        {"a b c d e f g h i", "line 1: more than 8 words"},
        {"al\x01loc", "line 1: 'al?loc' is not an operation"},
    };
    char error[256];
    (void)unused;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(model_program_parse(&one, wrong[i].text, NULL, error, sizeof error));
        assert_string_equal(error, wrong[i].error);
    }
}

static void too_many_operations_are_refused(void **unused)
{
    char error[128];
    (void)unused;
    for (size_t i = 0; i <= MODEL_OPERATIONS_MAX; i++)
        memcpy(text + 5 * i, "open\n", 6);
    assert_false(model_program_parse(&one, text, NULL, error, sizeof error));
    assert_string_equal(error, "line 1025: more than 1024 operations");
}

static void printing_stays_within_its_room(void **unused)
{
    char room[16];
    (void)unused;
    assert_true(model_program_parse(&one, "open\n", NULL, text, sizeof text));
    memset(room, 0x7e, sizeof room);
    assert_int_equal(model_program_print(&one, room, 8), strlen("strongroom program 1\nopen\n"));
    assert_string_equal(room, "strongr");
    assert_int_equal(room[8], 0x7e);
    assert_int_equal(model_program_print(&one, NULL, 0), 26);
}

/* Valgrind and ASan see that nothing past the operations is touched. */
static void a_copy_is_the_same_program(void **unused)
{
    char again[64];
    (void)unused;
    assert_true(model_program_parse(&one, "privileged\nopen\nalloc s3 n-1\n",
                                    &(struct model_size){MODEL_SIZE_RAW, 32}, text, sizeof text));
    struct model_program *copy = model_program_copy(&one);
    (void)model_program_print(&one, text, sizeof text);
    assert_true(model_program_print(copy, again, sizeof again) < sizeof again);
    assert_string_equal(again, text);
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_stand_for_bytes),
        cmocka_unit_test(sizes_that_are_none),
        cmocka_unit_test(table_has_no_empty_places),
        cmocka_unit_test(every_size_survives_its_text),
        cmocka_unit_test(any_bytes_are_a_program),
        cmocka_unit_test(bytes_and_text_round_trip),
        cmocka_unit_test(every_code_is_reached_by_bytes),
        cmocka_unit_test(one_flipped_bit_changes_one_operation),
        cmocka_unit_test(encode_stays_within_its_room),
        cmocka_unit_test(a_trailing_partial_record_is_dropped),
        cmocka_unit_test(every_form_prints_as_it_was_read),
        cmocka_unit_test(fields_are_where_the_header_says),
        cmocka_unit_test(comments_and_blanks_are_skipped),
        cmocka_unit_test(the_letter_n_is_the_size_swept),
        cmocka_unit_test(wrong_texts_are_told_exactly),
        cmocka_unit_test(too_many_operations_are_refused),
        cmocka_unit_test(printing_stays_within_its_room),
        cmocka_unit_test(a_copy_is_the_same_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
