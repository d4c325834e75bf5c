/* SPDX-License-Identifier: MIT */
/*
 * text.c: sizes and programs as text for people, both ways.
 *
 * Parsing is driven by the table of forms: each line is split into words, the first names the
 * operation, and each operand takes the words it needs. The first thing that is wrong ends it, with
 * one line that says where and what.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "forms.h"
#include "tools.h"

#define WORDS_MAX 8u
#define WORD_BYTES 64u
#define LINE_TEXT_MAX (WORDS_MAX * WORD_BYTES)

/* ----------------------------------------------------------------------------------- numbers */

/* Reads digits at *text, moves it behind them. False without digits or above limit. */
static bool digits_read(const char **text, uint64_t limit, uint64_t *value)
{
    const char *at = *text;
    uint64_t sum = 0;
    if (*at < '0' || *at > '9')
        return false;
    for (; *at >= '0' && *at <= '9'; at++) {
        sum = sum * 10 + (uint64_t)(*at - '0');
        if (sum > limit)
            return false;
    }
    *text = at;
    *value = sum;
    return true;
}

/* Reads "", "+5" or "-5" up to the end of the text. */
static bool tail_read(const char *text, int64_t *value)
{
    uint64_t size;
    char sign = *text;
    *value = 0;
    if (sign == '\0')
        return true;
    if (sign != '+' && sign != '-')
        return false;
    text++;
    if (!digits_read(&text, (uint64_t)1 << 32, &size) || *text != '\0')
        return false;
    *value = sign == '-' ? -(int64_t)size : (int64_t)size;
    return true;
}

/* Reads "NAME" or "FACTOR*NAME", then a tail. */
static bool multiple_read(const char *text, const char *name, int64_t *factor, int64_t *tail)
{
    size_t length = strlen(name);
    bool minus = *text == '-';
    const char *at = minus ? text + 1 : text;
    uint64_t size = 1;
    if (digits_read(&at, 0x8000, &size)) {
        if (*at++ != '*')
            return false;
    } else if (minus) {
        return false;
    }
    *factor = minus ? -(int64_t)size : (int64_t)size;
    return strncmp(at, name, length) == 0 && tail_read(at + length, tail);
}

/* ------------------------------------------------------------------------------------- sizes */

static bool size_make(enum model_size_kind kind, int64_t value, struct model_size *size)
{
    *size = (struct model_size){.kind = (uint8_t)kind, .value = (int32_t)value};
    return value >= INT32_MIN && value <= INT32_MAX;
}

static bool pages_make(int64_t pages, int64_t bytes, struct model_size *size)
{
    uint32_t packed = (uint32_t)pages << 16 | ((uint32_t)bytes & 0xffff);
    *size = (struct model_size){.kind = MODEL_SIZE_PAGES, .value = (int32_t)packed};
    return pages >= INT16_MIN && pages <= INT16_MAX && bytes >= INT16_MIN && bytes <= INT16_MAX;
}

static bool raw_parse(const char *text, struct model_size *size)
{
    uint64_t value;
    bool minus = *text == '-';
    text += minus;
    if (!digits_read(&text, (uint64_t)1 << 31, &value) || *text != '\0')
        return false;
    return size_make(MODEL_SIZE_RAW, minus ? -(int64_t)value : (int64_t)value, size);
}

bool model_size_parse(const char *text, struct model_size *size)
{
    int64_t factor, tail;
    if (strncmp(text, "table:", 6) == 0)
        return raw_parse(text + 6, size) && size->value >= 0 &&
               size->value < (int32_t)MODEL_SIZE_TABLE_ENTRIES &&
               size_make(MODEL_SIZE_TABLE, size->value, size);
    if (strncmp(text, "max", 3) == 0)
        return tail_read(text + 3, &tail) && size_make(MODEL_SIZE_MAX, -tail, size);
    if (strncmp(text, "half", 4) == 0)
        return tail_read(text + 4, &tail) && size_make(MODEL_SIZE_HALF, tail, size);
    if (multiple_read(text, "page", &factor, &tail))
        return pages_make(factor, tail, size);
    return raw_parse(text, size);
}

const char *model_size_print(struct model_size size, char *out, size_t out_bytes)
{
    int pages = size.value >> 16;
    int bytes = (int16_t)size.value;
    char tail[16] = "";
    switch (size.kind) {
    case MODEL_SIZE_PAGES:
        if (bytes != 0)
            snprintf(tail, sizeof tail, "%+d", bytes);
        if (pages == 1)
            snprintf(out, out_bytes, "page%s", tail);
        else
            snprintf(out, out_bytes, "%d*page%s", pages, tail);
        break;
    case MODEL_SIZE_MAX:
        snprintf(out, out_bytes, size.value == 0 ? "max" : "max%+lld", -(long long)size.value);
        break;
    case MODEL_SIZE_HALF:
        snprintf(out, out_bytes, size.value == 0 ? "half" : "half%+lld", (long long)size.value);
        break;
    case MODEL_SIZE_TABLE:
        snprintf(out, out_bytes, "table:%d", size.value);
        break;
    default:
        snprintf(out, out_bytes, "%d", size.value);
    }
    return out;
}

/* factor * n + tail, where that is a size of the kind of n. */
static bool swept_size(struct model_size n, int64_t factor, int64_t tail, struct model_size *size)
{
    if (factor == 1 && tail == 0) {
        *size = n;
        return true;
    }
    if (n.kind == MODEL_SIZE_TABLE)
        n = model_size_interesting((unsigned)n.value);
    switch (n.kind) {
    case MODEL_SIZE_RAW:
        return size_make(MODEL_SIZE_RAW, factor * n.value + tail, size);
    case MODEL_SIZE_PAGES:
        return pages_make(factor * (n.value >> 16), factor * (int16_t)n.value + tail, size);
    case MODEL_SIZE_MAX:
        return factor == 1 && size_make(MODEL_SIZE_MAX, n.value - tail, size);
    default:
        return factor == 1 && size_make(MODEL_SIZE_HALF, n.value + tail, size);
    }
}

/* ------------------------------------------------------------------------------------- errno */

static const struct {
    const char *name;
    int value;
} errnos[] = {
    {"ENOMEM", ENOMEM}, {"EPERM", EPERM},         {"EAGAIN", EAGAIN}, {"EINVAL", EINVAL},
    {"EACCES", EACCES}, {"EBADF", EBADF},         {"EBUSY", EBUSY},   {"EEXIST", EEXIST},
    {"EFAULT", EFAULT}, {"EINTR", EINTR},         {"EIO", EIO},       {"EMFILE", EMFILE},
    {"ENFILE", ENFILE}, {"ENODEV", ENODEV},       {"ENOSYS", ENOSYS}, {"ENOTSUP", EOPNOTSUPP},
    {"ENXIO", ENXIO},   {"EOVERFLOW", EOVERFLOW},
};
#define ERRNOS (sizeof errnos / sizeof errnos[0])

static bool errno_parse(const char *text, int *value)
{
    uint64_t number;
    for (size_t i = 0; i < ERRNOS; i++)
        if (strcmp(text, errnos[i].name) == 0) {
            *value = errnos[i].value;
            return true;
        }
    if (!digits_read(&text, MODEL_FAIL_ERRNO, &number) || *text != '\0' || number == 0)
        return false;
    *value = (int)number;
    return true;
}

static void errno_print(int value, char *out, size_t out_bytes)
{
    for (size_t i = 0; i < ERRNOS; i++)
        if (errnos[i].value == value) {
            snprintf(out, out_bytes, "%s", errnos[i].name);
            return;
        }
    snprintf(out, out_bytes, "%d", value);
}

/* ----------------------------------------------------------------------------------- reading */

/* One line on its way to an operation. */
struct reader {
    unsigned line;
    const struct model_size *n;
    const char *name; /* of the operation, once known */
    char words[WORDS_MAX][WORD_BYTES];
    unsigned count, next;
    char *error;
    size_t error_bytes;
};

MODEL_PRINTF(2, 3) static bool complain(struct reader *r, const char *format, ...)
{
    va_list list;
    int used = r->name == NULL
                   ? snprintf(r->error, r->error_bytes, "line %u: ", r->line)
                   : snprintf(r->error, r->error_bytes, "line %u: %s: ", r->line, r->name);
    va_start(list, format);
    if (used >= 0 && (size_t)used < r->error_bytes)
        vsnprintf(r->error + used, r->error_bytes - (size_t)used, format, list);
    va_end(list);
    return false;
}

/* The next word, or NULL after a complaint that `noun` is missing. */
static const char *word_take(struct reader *r, const char *noun)
{
    if (r->next < r->count)
        return r->words[r->next++];
    complain(r, "%s is missing", noun);
    return NULL;
}

/* Takes the next word if it is this one. */
static bool word_taken(struct reader *r, const char *word)
{
    if (r->next == r->count || strcmp(r->words[r->next], word) != 0)
        return false;
    r->next++;
    return true;
}

static bool listed_parse(struct reader *r, enum operand operand, struct model_operation *op)
{
    const struct form_words *list = &model_words[operand];
    const char *word = word_take(r, list->noun);
    char known[160] = "";
    if (word == NULL)
        return false;
    for (unsigned i = 0; i < list->count; i++) {
        size_t used = strlen(known);
        if (strcmp(word, list->words[i]) == 0) {
            op->arg |= (uint8_t)(i * list->scale);
            return true;
        }
        snprintf(known + used, sizeof known - used, "%s%s", i == 0 ? "" : ", ", list->words[i]);
    }
    return complain(r, "'%s' is not %s (%s)", word, list->noun, known);
}

static bool slot_parse(struct reader *r, struct model_operation *op)
{
    const char *word = word_take(r, "a slot"), *at = word;
    uint64_t index;
    if (word == NULL)
        return false;
    if (*at++ != 's' || !digits_read(&at, MODEL_SLOTS - 1, &index) || *at != '\0')
        return complain(r, "'%s' is not a slot (s0 to s%u)", word, MODEL_SLOTS - 1);
    op->slot = (uint8_t)index;
    return true;
}

static bool size_parse(struct reader *r, struct model_operation *op)
{
    const char *word = word_take(r, "a size");
    int64_t factor, tail;
    if (word == NULL)
        return false;
    if (multiple_read(word, "n", &factor, &tail)) {
        if (r->n == NULL)
            return complain(r, "'%s': no size is being swept here", word);
        if (!swept_size(*r->n, factor, tail, &op->size))
            return complain(r, "'%s' is out of range", word);
        return true;
    }
    if (!model_size_parse(word, &op->size))
        return complain(r, "'%s' is not a size (like 32, 3*page-1, max-7, half+1, table:5)", word);
    return true;
}

static bool power_parse(struct reader *r, const char *noun, unsigned logs, uint8_t *log)
{
    const char *word = word_take(r, noun), *at = word;
    uint64_t value;
    if (word == NULL)
        return false;
    if (!digits_read(&at, UINT32_MAX, &value) || *at != '\0' || value == 0 ||
        (value & (value - 1)) != 0 || value >> logs != 0)
        return complain(r, "'%s' is not %s (a power of two up to %llu)", word, noun,
                        1ULL << (logs - 1));
    for (*log = 0; value > 1; value >>= 1)
        ++*log;
    return true;
}

/* A plain number, kept in slot. */
static bool number_parse(struct reader *r, const char *noun, unsigned least, unsigned most,
                         struct model_operation *op)
{
    const char *word = word_take(r, noun), *at = word;
    uint64_t number;
    if (word == NULL)
        return false;
    if (!digits_read(&at, most, &number) || *at != '\0' || number < least)
        return complain(r, "'%s' is not %s (%u to %u)", word, noun, least, most);
    op->slot = (uint8_t)number;
    return true;
}

static bool fault_parse(struct reader *r, struct model_operation *op)
{
    const char *word = word_take(r, "an errno");
    int value;
    if (word == NULL)
        return false;
    if (!errno_parse(word, &value))
        return complain(r, "'%s' is not an errno (a name or 1 to %d)", word, MODEL_FAIL_ERRNO);
    op->size.value |= value;
    return true;
}

static bool operand_parse(struct reader *r, enum operand operand, struct model_operation *op)
{
    switch (operand) {
    case OPERAND_SLOT:
        return slot_parse(r, op);
    case OPERAND_OFFSET:
        return !form_has_offset(op) || r->next == r->count || size_parse(r, op);
    case OPERAND_SIZE_OPTIONAL:
        return r->next == r->count || size_parse(r, op);
    case OPERAND_SIZE:
        return size_parse(r, op);
    case OPERAND_ALIGN:
        return power_parse(r, "an alignment", FORM_ALIGN_LOG2S, &op->arg);
    case OPERAND_COUNT:
        if (word_taken(r, "full")) {
            op->arg = MODEL_CROWD_FULL;
            return true;
        }
        return power_parse(r, "a count", FORM_CROWD_LOG2S, &op->arg);
    case OPERAND_NTH:
        return number_parse(r, "a call number", 1, UINT8_MAX, op);
    case OPERAND_THREADS:
        return number_parse(r, "a number of threads", 2, MODEL_STORM_THREADS_MAX, op);
    case OPERAND_ROUNDS:
        return power_parse(r, "a number of rounds", FORM_STORM_LOG2S, &op->arg);
    case OPERAND_ERRNO:
        return fault_parse(r, op);
    case OPERAND_AFTER:
        op->size.value |= word_taken(r, "after") ? MODEL_FAIL_AFTER : 0;
        return true;
    case OPERAND_ON:
        op->size.value |= word_taken(r, "on") ? MODEL_FAIL_ON : 0;
        return true;
    case OPERAND_USE:
        op->arg |= word_taken(r, "use") ? MODEL_FORK_USE : 0;
        return true;
    case OPERAND_USABLE:
        op->arg |= word_taken(r, "usable") ? MODEL_FILL_USABLE : 0;
        return true;
    default:
        return listed_parse(r, operand, op);
    }
}

static bool operation_parse(struct reader *r, struct model_operation *op)
{
    const char *word = word_take(r, "an operation");
    unsigned code = 0;
    while (code < MODEL_CODES && strcmp(word, model_forms[code].name) != 0)
        code++;
    if (code == MODEL_CODES)
        return complain(r, "'%s' is not an operation", word);
    *op = (struct model_operation){.code = (uint8_t)code};
    r->name = model_forms[code].name;
    const uint8_t *operands = model_forms[code].operands;
    for (unsigned i = 0; i < FORM_OPERANDS_MAX && operands[i] != OPERAND_END; i++)
        if (!operand_parse(r, (enum operand)operands[i], op))
            return false;
    if (r->next < r->count)
        return complain(r, "'%s' is too much", r->words[r->next]);
    return true;
}

/* ------------------------------------------------------------------------------------- lines */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}
static bool ends_line(char c)
{
    return c == '\0' || c == '\n' || c == '#';
}

/* Bytes of a word that a message can show as they are. */
static char shown(char c)
{
    return c > ' ' && c < 0x7f ? c : '?';
}

/* Splits the line at text; returns where the next one starts, or NULL after a complaint. */
static const char *line_split(struct reader *r, const char *text)
{
    r->count = r->next = 0;
    r->name = NULL;
    for (;;) {
        size_t length = 0;
        while (is_blank(*text))
            text++;
        if (ends_line(*text))
            break;
        if (r->count == WORDS_MAX) {
            complain(r, "more than %u words", WORDS_MAX);
            return NULL;
        }
        for (; !is_blank(*text) && !ends_line(*text); text++, length++)
            if (length < WORD_BYTES - 1)
                r->words[r->count][length] = shown(*text);
        r->words[r->count][length < WORD_BYTES ? length : WORD_BYTES - 1] = '\0';
        r->count++;
    }
    text += strcspn(text, "\n");
    return *text == '\n' ? text + 1 : text;
}

/* "strongroom program 1" */
static bool header_parse(struct reader *r)
{
    const char *at = r->words[2];
    uint64_t version;
    if (r->count != 3 || strcmp(r->words[1], "program") != 0 ||
        !digits_read(&at, UINT32_MAX, &version) || *at != '\0')
        return complain(r, "the header is not 'strongroom program %u'", MODEL_PROGRAM_VERSION);
    if (version != MODEL_PROGRAM_VERSION)
        return complain(r, "program version %s is not known (known: %u)", r->words[2],
                        MODEL_PROGRAM_VERSION);
    return true;
}

static bool line_parse(struct reader *r, struct model_program *program, bool first)
{
    if (first && strcmp(r->words[0], "strongroom") == 0)
        return header_parse(r);
    if (strcmp(r->words[0], "privileged") == 0 && r->count == 1) {
        program->flags |= MODEL_KEEP_IPC_LOCK;
        return true;
    }
    if (program->count == MODEL_OPERATIONS_MAX)
        return complain(r, "more than %u operations", MODEL_OPERATIONS_MAX);
    if (!operation_parse(r, &program->operations[program->count]))
        return false;
    program->count++;
    return true;
}

bool model_program_parse(struct model_program *program, const char *text,
                         const struct model_size *n, char *error, size_t error_bytes)
{
    struct reader r = {.n = n, .error = error, .error_bytes = error_bytes};
    bool first = true;
    program->flags = 0;
    program->count = 0;
    while (*text != '\0') {
        r.line++;
        text = line_split(&r, text);
        if (text == NULL)
            return false;
        if (r.count == 0)
            continue;
        if (!line_parse(&r, program, first))
            return false;
        first = false;
    }
    return true;
}

/* ---------------------------------------------------------------------------------- printing */

/* Text that grows into a buffer, never past its end; `length` counts what it would be. */
struct writer {
    char *out;
    size_t out_bytes, length;
};

MODEL_PRINTF(2, 3) static void say(struct writer *w, const char *format, ...)
{
    va_list list;
    size_t at = w->length < w->out_bytes ? w->length : w->out_bytes;
    va_start(list, format);
    int length = vsnprintf(w->out_bytes > at ? w->out + at : NULL, w->out_bytes - at, format, list);
    va_end(list);
    if (length > 0)
        w->length += (size_t)length;
}

static void say_size(struct writer *w, struct model_size size)
{
    char text[32];
    say(w, " %s", model_size_print(size, text, sizeof text));
}

static void operand_print(struct writer *w, enum operand operand, const struct model_operation *op)
{
    char text[16];
    switch (operand) {
    case OPERAND_SLOT:
        say(w, " s%u", op->slot);
        break;
    case OPERAND_SIZE:
        say_size(w, op->size);
        break;
    case OPERAND_OFFSET:
    case OPERAND_SIZE_OPTIONAL:
        if (op->size.kind != MODEL_SIZE_RAW || op->size.value != 0)
            say_size(w, op->size);
        break;
    case OPERAND_ALIGN:
    case OPERAND_ROUNDS:
        say(w, " %lu", 1UL << op->arg);
        break;
    case OPERAND_COUNT:
        if (op->arg == MODEL_CROWD_FULL)
            say(w, " full");
        else
            say(w, " %lu", 1UL << op->arg);
        break;
    case OPERAND_NTH:
    case OPERAND_THREADS:
        say(w, " %u", op->slot);
        break;
    case OPERAND_ERRNO:
        errno_print(op->size.value & MODEL_FAIL_ERRNO, text, sizeof text);
        say(w, " %s", text);
        break;
    case OPERAND_AFTER:
        say(w, "%s", op->size.value & MODEL_FAIL_AFTER ? " after" : "");
        break;
    case OPERAND_ON:
        say(w, "%s", op->size.value & MODEL_FAIL_ON ? " on" : "");
        break;
    case OPERAND_USE:
        say(w, "%s", op->arg & MODEL_FORK_USE ? " use" : "");
        break;
    case OPERAND_USABLE:
        say(w, "%s", op->arg & MODEL_FILL_USABLE ? " usable" : "");
        break;
    default:
        say(w, " %s", model_words[operand].words[form_word_index(operand, op->arg)]);
    }
}

static void operation_say(struct writer *w, const struct model_operation *operation)
{
    struct model_operation op = model_operation_canonical(operation);
    const struct form *form = &model_forms[op.code];
    say(w, "%s", form->name);
    for (unsigned i = 0; i < FORM_OPERANDS_MAX && form->operands[i] != OPERAND_END; i++)
        operand_print(w, (enum operand)form->operands[i], &op);
}

const char *model_operation_print(const struct model_operation *operation, char *out,
                                  size_t out_bytes)
{
    struct writer w = {.out = out, .out_bytes = out_bytes};
    operation_say(&w, operation);
    return out;
}

size_t model_program_print(const struct model_program *program, char *out, size_t out_bytes)
{
    struct writer w = {.out = out, .out_bytes = out_bytes};
    say(&w, "strongroom program %u\n", MODEL_PROGRAM_VERSION);
    if (program->flags & MODEL_KEEP_IPC_LOCK)
        say(&w, "privileged\n");
    for (size_t i = 0; i < program->count; i++) {
        operation_say(&w, &program->operations[i]);
        say(&w, "\n");
    }
    return w.length;
}
