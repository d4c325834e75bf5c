/* SPDX-License-Identifier: MIT */
/*
 * emit.c: prints a program as C. What is the same in all of them is the text of emit_runtime.c, of
 * which only the stretches that the program needs are printed; this file adds one line per
 * operation. Every turn of a thread becomes a function, so that the other thread can be handed it:
 *
 *     static void part_0(void) { ... }      the first thread's
 *     static void part_1(void) { ... }      the second thread's
 *     int main(...) { load(...); part_0(); on_second_thread(part_1); ... }
 */
#include "emit.h"

#include <inttypes.h>
#include <string.h>

#include "forms.h"

static const char *const runtime[] = {
#include <emit_runtime.inc>
};
#define RUNTIME_LINES (sizeof runtime / sizeof runtime[0])
#define MARK "/*@"

/* ------------------------------------------------------------------------------- the runtime */

static bool has_code(const struct model_program *program, unsigned code)
{
    for (size_t i = 0; i < program->count; i++)
        if (program->operations[i].code == code)
            return true;
    return false;
}

/* Does the mark, a comment with names of operations, name one that the program has? */
static bool is_needed(const struct model_program *program, const char *mark)
{
    for (unsigned code = 0; code < MODEL_CODES; code++) {
        char name[32];
        snprintf(name, sizeof name, " %s ", model_forms[code].name);
        if (strstr(mark, name) != NULL && has_code(program, code))
            return true;
    }
    return false;
}

static void runtime_emit(const struct model_program *program, FILE *out)
{
    bool needed = false;
    for (size_t i = 0; i < RUNTIME_LINES; i++) {
        const char *line = runtime[i];
        if (strncmp(line, MARK, strlen(MARK)) != 0) {
            if (needed)
                fprintf(out, "%s\n", line);
            continue;
        }
        needed = strcmp(line, MARK "*/") == 0 || is_needed(program, line);
    }
}

/* ------------------------------------------------------------------------------------ literals */

/* Text from outside, as a C string. */
static void string_emit(const char *text, FILE *out)
{
    fputc('"', out);
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < ' ' || c > '~' || c == '"' || c == '\\' || c == '?')
            fprintf(out, "\\%03o", c);
        else
            fputc(c, out);
    }
    fputc('"', out);
}

static void signed_emit(const char *before, int64_t value, FILE *out)
{
    if (value != 0)
        fprintf(out, "%s %c (size_t)%" PRId64, before, value < 0 ? '-' : '+',
                value < 0 ? -value : value);
    else
        fprintf(out, "%s", before);
}

static void size_emit(struct model_size size, FILE *out)
{
    if (size.kind == MODEL_SIZE_TABLE)
        size = model_size_interesting((unsigned)size.value);
    switch (size.kind) {
    case MODEL_SIZE_PAGES: {
        char pages[48];
        int count = size.value >> 16;
        snprintf(pages, sizeof pages, count == 1 ? "page" : "(size_t)%d * page", count);
        signed_emit(pages, (int16_t)size.value, out);
        break;
    }
    case MODEL_SIZE_MAX:
        signed_emit("SIZE_MAX", -(int64_t)size.value, out);
        break;
    case MODEL_SIZE_HALF:
        signed_emit("SIZE_MAX / 2", size.value, out);
        break;
    default:
        if (size.value < 0)
            signed_emit("(size_t)0", size.value, out);
        else
            fprintf(out, "%d", size.value);
    }
}

/* ----------------------------------------------------------------------------------- operations */

static char first_letter(enum operand operand, uint8_t arg)
{
    return model_words[operand].words[form_word_index(operand, arg)][0];
}

static void access_emit(const struct model_operation *op, FILE *out)
{
    bool write = (op->arg & MODEL_TOUCH_WRITE) != 0;
    if (op->code == MODEL_STALE) {
        fprintf(out, "do_stale(%u, %s)", op->slot, write ? "REWRITE" : "READ");
        return;
    }
    if (op->code == MODEL_TOUCH)
        fprintf(out, "do_touch(%u, '%c', %s, ", op->slot, first_letter(OPERAND_SIDE, op->arg),
                write ? "REWRITE" : "READ");
    else
        fprintf(out, "run_outward(%u, '%c', ", op->slot, first_letter(OPERAND_OUTSIDE, op->arg));
    size_emit(op->size, out);
    fputs(op->code == MODEL_TOUCH ? ")" : op->code == MODEL_WALK ? ", READ)" : ", INVERT)", out);
}

static void fail_emit(const struct model_operation *op, FILE *out)
{
    static const char *const calls[MODEL_CALLS] = {
        "LOCK", "MMAP", "MPROTECT", "MADVISE", "MUNMAP", "MUNLOCK", "MEMFD_SECRET", "GETRANDOM"};
    fprintf(out, "do_fail(%s, %u, %d, %d, %d)", calls[op->arg], op->slot,
            op->size.value & MODEL_FAIL_ERRNO, (op->size.value & MODEL_FAIL_AFTER) != 0,
            (op->size.value & MODEL_FAIL_ON) != 0);
}

static void crowd_emit(const struct model_operation *op, FILE *out)
{
    fputs("do_crowd(", out);
    size_emit(op->size, out);
    fputs(", ", out);
    if (op->arg == MODEL_CROWD_FULL) {
        fputs("full(", out);
        size_emit(op->size, out);
        fprintf(out, ", %u))", MODEL_CROWD_FULL_MAX);
    } else {
        fprintf(out, "%lu)", 1UL << op->arg);
    }
}

/* A call whose last argument is the size. */
static void sized_emit(const char *before, const struct model_operation *op, const char *after,
                       FILE *out)
{
    fputs(before, out);
    size_emit(op->size, out);
    fputs(after, out);
}

static void call_emit(const struct model_operation *op, FILE *out)
{
    char text[64];
    switch ((enum model_code)op->code) {
    case MODEL_LIMIT:
        sized_emit("do_limit(", op, ")", out);
        break;
    case MODEL_OPEN:
        sized_emit("do_open(", op, ")", out);
        break;
    case MODEL_FAIL:
        fail_emit(op, out);
        break;
    case MODEL_ALLOC:
        snprintf(text, sizeof text, "do_alloc(%u, ", op->slot);
        sized_emit(text, op, ")", out);
        break;
    case MODEL_ALLOC_ALIGNED:
        snprintf(text, sizeof text, "do_alloc_aligned(%u, ", op->slot);
        sized_emit(text, op, ", ", out);
        fprintf(out, "(size_t)1 << %u)", op->arg);
        break;
    case MODEL_RESIZE:
        snprintf(text, sizeof text, "do_resize(%u, ", op->slot);
        sized_emit(text, op, ")", out);
        break;
    case MODEL_FREE:
    case MODEL_CHECK:
    case MODEL_LOOK:
    case MODEL_PEEK:
        fprintf(out, "do_%s(%u)", model_forms[op->code].name, op->slot);
        break;
    case MODEL_FILL:
    case MODEL_PROTECT:
        fprintf(out, "do_%s(%u, %u)", model_forms[op->code].name, op->slot, op->arg);
        break;
    case MODEL_TOUCH:
    case MODEL_WALK:
    case MODEL_SMASH:
    case MODEL_STALE:
        access_emit(op, out);
        break;
    case MODEL_MISUSE:
        snprintf(text, sizeof text, "do_misuse(%u, '%c', ", op->slot,
                 first_letter(OPERAND_MISUSE, op->arg));
        sized_emit(text, op, ")", out);
        break;
    case MODEL_FORK:
        fprintf(out, "do_fork(%d, %d)", (op->arg & MODEL_FORK_RAW) != 0,
                (op->arg & MODEL_FORK_USE) != 0);
        break;
    case MODEL_CROWD:
        crowd_emit(op, out);
        break;
    case MODEL_CROWD_FREE:
        fprintf(out, "do_crowd_free('%c')", first_letter(OPERAND_ORDER, op->arg));
        break;
    case MODEL_CROWD_LOOK:
        fputs("do_crowd_look()", out);
        break;
    case MODEL_STORM:
        sized_emit("do_storm(", op, "", out);
        fprintf(out, ", %lu, %u)", 1UL << op->arg, op->slot);
        break;
    case MODEL_CLOSE:
    case MODEL_HEAL:
        fprintf(out, "do_%s()", model_forms[op->code].name);
        break;
    case MODEL_BATON:
    case MODEL_CODES:
        fputs("(void)0", out);
        break;
    }
}

/* ------------------------------------------------------------------------------------ the file */

static void head_emit(const struct model_program *program, FILE *out)
{
    char line[96];
    fputs(
        "/*\n * A program of strongroom as C. Compile and run it with\n *\n"
        " *     cc -rdynamic -o program program.c -ldl -lpthread && ./program [SUBJECT.so [VARIANT]]\n"
        " *\n"
        " * Exit status: 0 nothing was BAD, 1 something was, 2 it could not run, 3 the subject ended it\n"
        " * through its fatal handler; or the signal that it died of.\n *\n",
        out);
    if (program->flags & MODEL_KEEP_IPC_LOCK)
        fputs(" *     privileged\n", out);
    for (size_t i = 0; i < program->count; i++)
        fprintf(out, " *     %s\n",
                model_operation_print(&program->operations[i], line, sizeof line));
    fputs(" */\n", out);
}

/* Returns how many parts there are. */
static unsigned parts_emit(const struct model_program *program, FILE *out)
{
    unsigned parts = 0;
    char line[96];
    fputs("/* ---- the program ---- */\n", out);
    for (size_t i = 0; i < program->count || parts == 0;) {
        bool passed = false;
        fprintf(out, "\nstatic void part_%u(void)\n{\n", parts++);
        for (; i < program->count && !passed; i++) {
            const struct model_operation *op = &program->operations[i];
            passed = op->code == MODEL_BATON;
            fprintf(out, "    step(\"%s\");\n", model_operation_print(op, line, sizeof line));
            if (passed)
                break;
            fputs("    ", out);
            call_emit(op, out);
            fputs(";\n", out);
        }
        i += passed;
        fputs("}\n", out);
    }
    return parts;
}

static void main_emit(const struct model_program *program, const char *path, const char *variant,
                      unsigned parts, FILE *out)
{
    fputs("\nint main(int count, char **arguments)\n{\n", out);
    if (!(program->flags & MODEL_KEEP_IPC_LOCK))
        fputs("    drop_ipc_lock();\n", out);
    fputs("    load(count > 1 ? arguments[1] : ", out);
    string_emit(path, out);
    fputs(", count > 2 ? arguments[2] : count > 1 ? \"\" : ", out);
    string_emit(variant, out);
    fputs(");\n", out);
    for (unsigned i = 0; i < parts; i++)
        fprintf(out, i % 2 == 0 ? "    part_%u();\n" : "    on_second_thread(part_%u);\n", i);
    fputs("    say(\"the program ran to its end\\n\");\n    return wrong;\n}\n", out);
}

bool model_emit_c(const struct model_program *program, const char *subject_path,
                  const char *variant_name, FILE *out)
{
    const char *path = subject_path == NULL ? "" : subject_path;
    const char *variant = variant_name == NULL ? "" : variant_name;
    head_emit(program, out);
    runtime_emit(program, out);
    unsigned parts = parts_emit(program, out);
    main_emit(program, path, variant, parts, out);
    return fflush(out) == 0 && ferror(out) == 0;
}
