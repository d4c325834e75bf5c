/* SPDX-License-Identifier: MIT */
/* text.c: columns, wrapping, colour: what every report for people is set with. */
#include "text.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define WIDTH_DEFAULT 100u
#define WIDTH_LEAST 40u
#define WIDTH_MOST 120u /* longer lines are hard to read */

/* ---- the terminal ---- */

static unsigned width_of(int fd)
{
    const char *columns = getenv("COLUMNS");
    unsigned long width = columns != NULL ? strtoul(columns, NULL, 10) : 0;
    struct winsize window;

    if (width == 0 && ioctl(fd, TIOCGWINSZ, &window) == 0)
        width = window.ws_col;
    if (width == 0)
        return WIDTH_DEFAULT;
    if (width < WIDTH_LEAST)
        return WIDTH_LEAST;
    return width > WIDTH_MOST ? WIDTH_MOST : (unsigned)width;
}

static bool colour_on(int fd)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

    if (no_color != NULL && no_color[0] != '\0')
        return false;
    return isatty(fd) && term != NULL && strcmp(term, "dumb") != 0;
}

struct terminal terminal_on(FILE *out, bool verbose)
{
    int fd = fileno(out);
    return (struct terminal){
        .out = out, .width = width_of(fd), .colour = colour_on(fd), .verbose = verbose};
}

/* ---- words ---- */

static const char *const tones[] = {
    [TONE_PLAIN] = "",           [TONE_STRONG] = "\033[1m", [TONE_QUIET] = "\033[2m",
    [TONE_GOOD] = "\033[32m",    [TONE_BAD] = "\033[1;31m", [TONE_DOUBT] = "\033[33m",
    [TONE_FAULT] = "\033[1;35m",
};

static bool is_utf8(const char *text, size_t bytes)
{
    json_t *probe = json_stringn(text, bytes);

    json_decref(probe);
    return probe != NULL;
}

/* What the subject says of itself is a stranger's text: nothing of it may steer the terminal. */
static void put_clean(FILE *out, const char *text, size_t bytes)
{
    bool utf8 = is_utf8(text, bytes);

    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        bool c1 = c == 0xc2 && i + 1 < bytes && (unsigned char)text[i + 1] < 0xa0;
        bool harmless = c >= 0x20 && c != 0x7f && (c < 0x80 || utf8) && !c1;
        fputc(harmless ? c : '?', out);
        i += c1; /* the second byte of a control character beyond ASCII */
    }
}

char *text_clean(const char *text)
{
    char *clean = NULL;
    size_t clean_bytes = 0;
    FILE *out = open_memstream(&clean, &clean_bytes);

    if (out == NULL)
        return NULL;
    put_clean(out, text, strlen(text));
    fclose(out);
    return clean;
}

/* JSON holds valid UTF-8 only, so whatever is not becomes '?', byte by byte. */
json_t *text_json(const char *bytes)
{
    json_t *string = json_string(bytes);
    char *ascii;

    if (string != NULL || (ascii = strdup(bytes)) == NULL)
        return string;
    for (char *c = ascii; *c != '\0'; c++)
        *c = (unsigned char)*c >= 0x80 ? '?' : *c;
    string = json_string(ascii);
    free(ascii);
    return string;
}

void text_spaces(const struct terminal *to, unsigned columns)
{
    fprintf(to->out, "%*s", (int)columns, "");
}

void text_put(const struct terminal *to, enum tone tone, const char *text, unsigned columns)
{
    size_t length = strlen(text);
    bool coloured = to->colour && tone != TONE_PLAIN;

    if (coloured)
        fputs(tones[tone], to->out);
    put_clean(to->out, text, length);
    if (coloured)
        fputs("\033[0m", to->out);
    if (length < columns)
        text_spaces(to, columns - (unsigned)length);
}

void text_line(const struct terminal *to, enum tone tone, const char *text)
{
    text_put(to, tone, text, 0);
    fputc('\n', to->out);
}

void text_wrap(const struct terminal *to, unsigned column, unsigned indent, const char *text)
{
    bool first = true;

    for (text += strspn(text, " "); *text != '\0'; text += strspn(text, " ")) {
        unsigned length = (unsigned)strcspn(text, " ");
        if (!first && column + 1 + length > to->width) {
            fputc('\n', to->out);
            text_spaces(to, indent);
            column = indent;
        } else if (!first) {
            fputc(' ', to->out);
            column++;
        }
        put_clean(to->out, text, length);
        column += length;
        text += length;
        first = false;
    }
    fputc('\n', to->out);
}

const char *text_path(const char *path)
{
    char here[PATH_MAX];
    size_t length = getcwd(here, sizeof here) != NULL ? strlen(here) : 0;

    if (length > 1 && strncmp(path, here, length) == 0 && path[length] == '/')
        return path + length + 1;
    return path;
}

const char *text_count(char *out, size_t out_bytes, size_t count, const char *one, const char *many)
{
    snprintf(out, out_bytes, "%zu %s", count, count == 1 ? one : many);
    return out;
}

const char *text_bytes(char *out, size_t out_bytes, uint64_t bytes)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;

    if (bytes == UINT64_MAX)
        return "unlimited";
    while (unit < 4 && bytes != 0 && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    snprintf(out, out_bytes, "%" PRIu64 " %s", bytes, units[unit]);
    return out;
}

/* ---- names ---- */

const char *entry_name(unsigned bit)
{
    static const char *const names[] = {"close",  "resize",  "alloc_aligned",
                                        "usable", "protect", "locked_bytes"};
    return bit < sizeof names / sizeof names[0] ? names[bit] : NULL;
}

const char *cell_text(enum verdict verdict)
{
    static const char *const cells[VERDICTS] = {"holds", "BROKEN", "-", "n/o", "ERROR"};
    return (unsigned)verdict < VERDICTS ? cells[verdict] : "ERROR";
}

enum tone verdict_tone(enum verdict verdict)
{
    static const enum tone of[VERDICTS] = {TONE_GOOD, TONE_BAD, TONE_QUIET, TONE_DOUBT, TONE_FAULT};
    return (unsigned)verdict < VERDICTS ? of[verdict] : TONE_FAULT;
}
