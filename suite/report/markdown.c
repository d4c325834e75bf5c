/* SPDX-License-Identifier: MIT */
/*
 * markdown.c: a result as a page of a CI job, in GitHub's Markdown.
 *
 *     the gate in words -> subjects x five counts -> what is broken -> where the verifier failed ->
 *     not observable here -> all verdicts (folded) -> skipped
 *
 * Such a page is refused whole above 1 MiB. Pieces are added while they fit; those that do not are
 * counted, and the count is said.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parts.h"
#include "text.h"

/* What the last line, and the ends of what is folded, are left. */
#define ROOM_AT_THE_END 512u

struct page {
    FILE *out;
    size_t bytes;
    size_t left_out; /* pieces */
};

/* ---- pieces ---- */

/* Adds a piece, if there is room; takes it over. NULL: there was no memory for it. */
static void add(struct page *page, char *piece)
{
    size_t bytes = piece != NULL ? strlen(piece) : 0;

    if (piece == NULL || page->bytes + bytes + ROOM_AT_THE_END >= REPORT_MARKDOWN_BYTES) {
        page->left_out++;
    } else {
        fputs(piece, page->out);
        page->bytes += bytes;
    }
    free(piece);
}

__attribute__((format(printf, 2, 3))) static void say(struct page *page, const char *format, ...)
{
    va_list arguments;
    char *piece = NULL;

    va_start(arguments, format);
    if (vasprintf(&piece, format, arguments) < 0)
        piece = NULL;
    va_end(arguments);
    add(page, piece);
}

/* A stranger's text, of which nothing may steer the page; the caller frees it. NULL: no memory. */
static char *escaped(const char *text)
{
    char *clean = text_clean(text), *safe = NULL;
    size_t safe_bytes = 0;
    FILE *out = clean != NULL ? open_memstream(&safe, &safe_bytes) : NULL;

    for (const char *c = clean; out != NULL && *c != '\0'; c++) {
        if (*c == '<' || *c == '>' || *c == '&' || *c == '@')
            fprintf(out, "&#%d;", *c);
        else if (strchr("\\`*_{}[]()#+!|~$", *c) != NULL)
            fprintf(out, "\\%c", *c);
        else
            fputc(*c, out);
    }
    free(clean);
    if (out != NULL)
        fclose(out);
    return safe;
}

static const char *or_empty(const char *text)
{
    return text != NULL ? text : "";
}

/* ---- sections ---- */

static void add_totals(struct page *page, const struct run_result *result)
{
    say(page, "| subject | holds | **broken** | not offered | not observable here | **error** |\n"
              "|---|--:|--:|--:|--:|--:|\n");
    for (size_t s = 0; s < result->count; s++) {
        const struct subject_result *subject = &result->subjects[s];
        const size_t *totals = subject->totals;
        char *name = escaped(subject->name), *version = escaped(subject->version);
        say(page, "| %s %s | %zu | %zu | %zu | %zu | %zu |\n", or_empty(name), or_empty(version),
            totals[VERDICT_HOLDS], totals[VERDICT_BROKEN], totals[VERDICT_NOT_OFFERED],
            totals[VERDICT_NOT_OBSERVABLE], totals[VERDICT_ERROR]);
        free(name);
        free(version);
    }
    say(page, "\n");
}

static void add_verdict(struct page *page, const struct subject_result *subject,
                        const struct verdict_record *record)
{
    char *name = escaped(subject->name), *summary = escaped(record->evidence.summary);
    char *repeat = escaped(record->repeat);
    bool repeatable = record->repeat[0] != '\0';

    say(page, "- **%s: %s**: %s%s%s%s\n", or_empty(name), record->promise->id, or_empty(summary),
        repeatable ? "<br><code>" : "", or_empty(repeat), repeatable ? "</code>" : "");
    free(name);
    free(summary);
    free(repeat);
}

static size_t count_of(const struct run_result *result, enum verdict verdict)
{
    size_t count = 0;

    for (size_t s = 0; s < result->count; s++)
        count += result->subjects[s].totals[verdict];
    return count;
}

static void add_all_of(struct page *page, const struct run_result *result, enum verdict verdict,
                       const char *heading)
{
    if (count_of(result, verdict) == 0)
        return;
    say(page, "### %s\n\n", heading);
    for (size_t s = 0; s < result->count; s++) {
        const struct subject_result *subject = &result->subjects[s];
        for (size_t v = 0; v < subject->count; v++) {
            if (subject->verdicts[v].verdict == verdict)
                add_verdict(page, subject, &subject->verdicts[v]);
        }
    }
    say(page, "\n");
}

/* One row: a promise on every subject. */
static char *matrix_row(const struct run_result *result, const struct promise *promise)
{
    char *row = NULL;
    size_t row_bytes = 0;
    FILE *out = open_memstream(&row, &row_bytes);

    if (out == NULL)
        return NULL;
    fprintf(out, "| %s |", promise->id);
    for (size_t s = 0; s < result->count; s++) {
        const struct verdict_record *record = record_of(&result->subjects[s], promise);
        fprintf(out, " %s |", record != NULL ? cell_text(record->verdict) : "");
    }
    fputc('\n', out);
    fclose(out);
    return row;
}

static char *matrix_head(const struct run_result *result)
{
    char *head = NULL;
    size_t head_bytes = 0;
    FILE *out = open_memstream(&head, &head_bytes);

    if (out == NULL)
        return NULL;
    fputs("<details><summary>All verdicts</summary>\n\n| promise |", out);
    for (size_t s = 0; s < result->count; s++) {
        char *name = escaped(result->subjects[s].name);
        fprintf(out, " %s |", or_empty(name));
        free(name);
    }
    fputs("\n|---|", out);
    for (size_t s = 0; s < result->count; s++)
        fputs("---|", out);
    fputc('\n', out);
    fclose(out);
    return head;
}

/* A table without its head is none: where that does not fit, none of it is added. */
static void add_matrix(struct page *page, const struct run_result *result)
{
    size_t left_out = page->left_out;

    add(page, matrix_head(result));
    if (page->left_out > left_out)
        return;
    for (const struct promise *const *p = promises; *p != NULL; p++) {
        if (promise_was_asked(result, *p))
            add(page, matrix_row(result, *p));
    }
    fputs("\n</details>\n\n", page->out); /* of ROOM_AT_THE_END: what is open must be closed */
}

static void add_skipped(struct page *page, const struct run_result *result)
{
    if (result->skipped_count == 0)
        return;
    say(page, "### Not judged here\n\n");
    for (size_t i = 0; i < result->skipped_count; i++) {
        char *name = escaped(result->skipped[i].name), *reason = escaped(result->skipped[i].reason);
        say(page, "- %s: %s\n", or_empty(name), or_empty(reason));
        free(name);
        free(reason);
    }
    say(page, "\n");
}

static void add_host(struct page *page, const struct run_result *result)
{
    const struct host_facts *host = &result->host;
    char soft[32], *kernel = escaped(host->kernel);

    say(page,
        "%s %s, %u cores, RLIMIT\\_MEMLOCK %s, %s; %u cases in %" PRIu64 " s, `--seed %" PRIu64
        "`\n\n",
        or_empty(kernel), host->machine, host->cores,
        text_bytes(soft, sizeof soft, host->memlock_soft_bytes), host->user, result->cases,
        result->elapsed_ms / 1000, result->seed);
    free(kernel);
}

/* ---- the page ---- */

static void add_all(struct page *page, const struct run_result *result, const char *const *allowed)
{
    char words[512];

    gate_text(words, sizeof words, result, allowed);
    say(page, "## strongroom: %s\n\n", words);
    add_host(page, result);
    add_totals(page, result);
    add_all_of(page, result, VERDICT_BROKEN, "What is broken, and the command that shows it");
    add_all_of(page, result, VERDICT_ERROR, "Where the verifier failed");
    add_all_of(page, result, VERDICT_NOT_OBSERVABLE, "Not observable here");
    add_matrix(page, result);
    add_skipped(page, result);
    if (page->left_out > 0)
        fprintf(page->out, "\n%zu lines had no room on this page: the JSON has all.\n",
                page->left_out);
}

char *report_markdown(const struct run_result *result, const char *const *allowed)
{
    char *text = NULL;
    size_t text_bytes = 0;
    struct page page = {.out = open_memstream(&text, &text_bytes)};

    if (page.out == NULL)
        return NULL;
    add_all(&page, result, allowed);
    if (fclose(page.out) == 0)
        return text;
    free(text);
    return NULL;
}
