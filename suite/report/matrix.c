/* SPDX-License-Identifier: MIT */
/*
 * matrix.c: `compare`: subjects side by side.
 *
 *                     a-name-                <- one too long for its column breaks at a dash
 *                     of-parts    another
 *     core
 *       locked        holds       BROKEN     <- a row for each promise that was asked for
 *
 * Columns that do not fit the width go into a further block below.
 */
#include <inttypes.h>
#include <string.h>

#include "parts.h"
#include "text.h"

#define HEADING_WIDTH 10u /* names longer than this are broken at their dashes */
#define GAP 2u

/* ---- headings ---- */

/* How many letters of name belong on its next heading line. */
static unsigned heading_piece(const char *name)
{
    unsigned taken = 0;

    for (;;) {
        unsigned piece = (unsigned)strcspn(name + taken, "-");
        piece += name[taken + piece] == '-';
        if (piece == 0 || (taken > 0 && taken + piece > HEADING_WIDTH))
            return taken;
        taken += piece;
    }
}

static unsigned heading_lines(const char *name)
{
    unsigned lines = 0;

    for (; *name != '\0'; name += heading_piece(name))
        lines++;
    return lines;
}

static unsigned column_width(const struct subject_result *subject)
{
    unsigned width = (unsigned)strlen("BROKEN");

    for (const char *name = subject->name; *name != '\0'; name += heading_piece(name)) {
        unsigned piece = heading_piece(name);
        width = piece > width ? piece : width;
    }
    return width;
}

/* Writes line number line of a heading that is bottom-aligned in lines, after gap columns. Returns
 * the gap before the next one, so that no line ends in spaces. */
static unsigned put_heading(const struct terminal *to, const struct subject_result *subject,
                            unsigned line, unsigned lines, unsigned gap)
{
    unsigned blank = lines - heading_lines(subject->name), width = column_width(subject) + GAP;
    const char *name = subject->name;
    char piece[sizeof subject->name];

    if (line < blank)
        return gap + width;
    for (; line > blank; line--)
        name += heading_piece(name);
    snprintf(piece, sizeof piece, "%.*s", (int)heading_piece(name), name);
    text_spaces(to, gap);
    text_put(to, TONE_STRONG, piece, 0);
    return width - (unsigned)strlen(piece);
}

/* ---- one block: the subjects from first up to, not including, end ---- */

struct block {
    const struct run_result *result;
    size_t first, end;
    unsigned label_width;
};

static void put_headings(const struct terminal *to, const struct block *block)
{
    unsigned lines = 0;

    for (size_t s = block->first; s < block->end; s++) {
        unsigned own = heading_lines(block->result->subjects[s].name);
        lines = own > lines ? own : lines;
    }
    for (unsigned line = 0; line < lines; line++) {
        unsigned gap = block->label_width;
        for (size_t s = block->first; s < block->end; s++)
            gap = put_heading(to, &block->result->subjects[s], line, lines, gap);
        fputc('\n', to->out);
    }
}

static void put_row(const struct terminal *to, const struct block *block,
                    const struct promise *promise)
{
    text_put(to, TONE_PLAIN, "  ", 0);
    text_put(to, TONE_PLAIN, promise->id, block->label_width - 2);
    for (size_t s = block->first; s < block->end; s++) {
        const struct subject_result *subject = &block->result->subjects[s];
        const struct verdict_record *record = record_of(subject, promise);
        unsigned width = s + 1 < block->end ? column_width(subject) + GAP : 0;
        if (record == NULL)
            text_put(to, TONE_QUIET, "", width);
        else
            text_put(to, verdict_tone(record->verdict), cell_text(record->verdict), width);
    }
    fputc('\n', to->out);
}

static void put_block(const struct terminal *to, const struct block *block)
{
    put_headings(to, block);
    for (unsigned level = 0; level < PROMISE_LEVELS; level++) {
        if (!level_was_asked(block->result, level))
            continue;
        text_line(to, TONE_STRONG, promise_level_name(level));
        for (const struct promise *const *p = promises; *p != NULL; p++) {
            if ((*p)->level == level && promise_was_asked(block->result, *p))
                put_row(to, block, *p);
        }
    }
    fputc('\n', to->out);
}

static unsigned label_width(const struct run_result *result)
{
    size_t width = strlen("hardening");

    for (const struct promise *const *p = promises; *p != NULL; p++) {
        if (promise_was_asked(result, *p) && strlen((*p)->id) + 2 > width)
            width = strlen((*p)->id) + 2;
    }
    return (unsigned)width + GAP + 1;
}

static void put_blocks(const struct terminal *to, const struct run_result *result)
{
    struct block block = {.result = result, .label_width = label_width(result)};

    while (block.first < result->count) {
        unsigned used = block.label_width + column_width(&result->subjects[block.first]);
        block.end = block.first + 1;
        while (block.end < result->count) {
            used += GAP + column_width(&result->subjects[block.end]);
            if (used > to->width)
                break;
            block.end++;
        }
        put_block(to, &block);
        block.first = block.end;
    }
}

/* ---- legend and totals ---- */

static bool any(const struct run_result *result, enum verdict verdict)
{
    for (size_t s = 0; s < result->count; s++) {
        if (result->subjects[s].totals[verdict] > 0)
            return true;
    }
    return false;
}

/* Only what is in the table is explained. */
static void put_legend(const struct terminal *to, const struct run_result *result)
{
    static const char *const words[VERDICTS] = {
        [VERDICT_BROKEN] = "BROKEN  core or claimed, and seen not to hold",
        [VERDICT_NOT_OFFERED] = "-       not offered: neither claimed nor seen",
        [VERDICT_NOT_OBSERVABLE] = "n/o     not observable here; the reasons are below",
        [VERDICT_ERROR] = "ERROR   the verifier failed here, and says nothing of the subject",
    };
    bool put = false;

    for (unsigned verdict = 0; verdict < VERDICTS; verdict++) {
        if (words[verdict] != NULL && any(result, verdict)) {
            text_line(to, TONE_QUIET, words[verdict]);
            put = true;
        }
    }
    if (put)
        fputc('\n', to->out);
}

static void put_totals(const struct terminal *to, const struct run_result *result)
{
    unsigned width = (unsigned)strlen("totals");

    for (size_t s = 0; s < result->count; s++) {
        unsigned length = (unsigned)strlen(result->subjects[s].name);
        width = length > width ? length : width;
    }
    text_put(to, TONE_STRONG, "totals", width + 2);
    for (unsigned verdict = 0; verdict < VERDICTS; verdict++)
        fprintf(to->out, "  %s", verdict_name(verdict));
    fputc('\n', to->out);
    for (size_t s = 0; s < result->count; s++) {
        const struct subject_result *subject = &result->subjects[s];
        fputs("  ", to->out);
        text_put(to, TONE_PLAIN, subject->name, width);
        for (unsigned verdict = 0; verdict < VERDICTS; verdict++)
            fprintf(to->out, "  %*zu", (int)strlen(verdict_name(verdict)),
                    subject->totals[verdict]);
        fputc('\n', to->out);
    }
    fputc('\n', to->out);
}

void report_compare(const struct terminal *to, const struct run_result *result)
{
    put_host(to, result);
    put_blocks(to, result);
    put_legend(to, result);
    put_totals(to, result);
    put_broken(to, result);
    put_errors(to, result);
    put_not_observable(to, result);
    put_unknown_claims(to, result, to->verbose);
    put_skipped(to, result->skipped, result->skipped_count);
    if (to->verbose) {
        put_cases(to, result);
        put_controls(to, result);
        put_sizes(to, result);
    }
    put_ran(to, result);
}
