/* SPDX-License-Identifier: MIT */
/* catalog.c: `list` and `explain`: what there is to judge here, and what it is judged for. */
#include <stdlib.h>
#include <string.h>

#include "parts.h"
#include "text.h"

/* ---- list ---- */

static size_t claims_count(const struct subject_result *subject)
{
    size_t count = 0;

    while (subject->claims != NULL && subject->claims[count] != NULL)
        count++;
    return count;
}

/* Its library and version, what it offers and claims, and where it is. */
static void put_entry(const struct terminal *to, const struct catalog_entry *entry, unsigned width)
{
    const struct subject_result *subject = &entry->subject;
    char *line = NULL, claims[32];
    size_t line_bytes = 0;
    FILE *out = open_memstream(&line, &line_bytes);

    if (out == NULL)
        return;
    fprintf(out, "%s %s, %s", subject->library, subject->version,
            text_count(claims, sizeof claims, claims_count(subject), "claim", "claims"));
    fputs("; offers open alloc free", out);
    for (unsigned bit = 0; entry_name(bit) != NULL; bit++) {
        if (entry->entries & 1u << bit)
            fprintf(out, " %s", entry_name(bit));
    }
    fclose(out);
    text_spaces(to, 2);
    text_put(to, TONE_PLAIN, subject->name, width);
    text_wrap(to, 2 + width, 2 + width, line);
    text_spaces(to, 2 + width);
    text_line(to, TONE_QUIET, text_path(subject->path));
    free(line);
}

static void put_entries(const struct terminal *to, const struct catalog_entry *entries,
                        size_t count)
{
    char heading[64];
    unsigned width = 0;

    for (size_t i = 0; i < count; i++) {
        unsigned length = (unsigned)strlen(entries[i].subject.name);
        width = length > width ? length : width;
    }
    text_line(to, TONE_STRONG, text_count(heading, sizeof heading, count, "subject", "subjects"));
    for (size_t i = 0; i < count; i++)
        put_entry(to, &entries[i], width + 2);
    fputc('\n', to->out);
}

static size_t promises_count(void)
{
    size_t count = 0;

    while (promises[count] != NULL)
        count++;
    return count;
}

static unsigned promises_width(void)
{
    size_t width = 0;

    for (size_t i = 0; promises[i] != NULL; i++)
        width = strlen(promises[i]->id) > width ? strlen(promises[i]->id) : width;
    return (unsigned)width;
}

void report_list(const struct terminal *to, const struct catalog_entry *entries, size_t count,
                 const struct skipped_subject *skipped, size_t skipped_count)
{
    unsigned width = promises_width() + 2;
    char heading[64];

    put_entries(to, entries, count);
    put_skipped(to, skipped, skipped_count);
    text_line(to, TONE_STRONG,
              text_count(heading, sizeof heading, promises_count(), "promise", "promises"));
    for (const struct promise *const *p = promises; *p != NULL; p++) {
        text_spaces(to, 2);
        text_put(to, TONE_PLAIN, (*p)->id, width);
        text_put(to, TONE_QUIET, promise_level_name((*p)->level), 11);
        text_put(to, TONE_QUIET, (*p)->slow ? "slow" : "", 6);
        text_wrap(to, width + 19, width + 19, (*p)->statement);
    }
}

/* ---- explain ---- */

static void put_paragraph(const struct terminal *to, const char *heading, const char *text)
{
    text_spaces(to, 2);
    text_line(to, TONE_QUIET, heading);
    text_spaces(to, 4);
    text_wrap(to, 4, 4, text);
}

static void put_needs(const struct terminal *to, const struct promise *promise)
{
    char *line = NULL;
    size_t line_bytes = 0;
    const char *separator = "";
    FILE *out = open_memstream(&line, &line_bytes);

    if (out == NULL)
        return;
    fputs("the subject's open alloc free", out);
    for (unsigned bit = 0; entry_name(bit) != NULL; bit++) {
        if (promise->entries & 1u << bit)
            fprintf(out, " %s", entry_name(bit));
    }
    for (unsigned bit = 0; bit < OBSERVERS; bit++) {
        if ((promise->observers & 1u << bit) == 0)
            continue;
        fprintf(out, "%s %s", separator[0] == '\0' ? "; observers:" : separator,
                observer_name(1u << bit));
        separator = ",";
    }
    fclose(out);
    put_paragraph(to, "what it needs", line);
    free(line);
}

void report_promise(const struct terminal *to, const struct promise *promise)
{
    text_put(to, TONE_STRONG, promise->id, 0);
    fprintf(to->out, " (%s)\n", promise_level_name(promise->level));
    text_spaces(to, 2);
    text_wrap(to, 2, 2, promise->statement);
    put_paragraph(to, "how it is observed", promise->observed);
    put_paragraph(to, "what breaks it in practice", promise->in_practice);
    put_needs(to, promise);
}
