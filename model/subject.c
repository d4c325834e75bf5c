/* SPDX-License-Identifier: MIT */
/*
 * subject.c: checks the tables of a subject.
 *
 * They were written by strangers: nothing in a table is believed before it is checked, every text
 * that goes into a message is cut and made printable, and no entry is called here.
 */
#include "subject.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tools.h"

#define NAME_CHARACTERS_MAX 63u
#define FLAGS_KNOWN                                                                      \
    (SECRET_ALLOC_SINGLE_INSTANCE | SECRET_ALLOC_THREAD_SAFE | SECRET_ALLOC_USES_FATAL | \
     SECRET_ALLOC_CHILD_MAY_ALLOC | SECRET_ALLOC_CHILD_MAY_FREE)

/* Which entry an offer is about, and by which promise it is needed. */
static const struct {
    enum model_entry entry;
    const char *name;
    const char *promises[3];
} entries[] = {
    {MODEL_ENTRY_CLOSE, "close", {"zero-on-close", "reopen"}},
    {MODEL_ENTRY_RESIZE, "resize", {"zero-on-resize"}},
    {MODEL_ENTRY_ALLOC_ALIGNED, "alloc_aligned", {NULL}},
    {MODEL_ENTRY_USABLE, "usable", {NULL}},
    {MODEL_ENTRY_PROTECT, "protect", {"states"}},
    {MODEL_ENTRY_LOCKED_BYTES, "locked_bytes", {NULL}},
};
#define ENTRIES (sizeof entries / sizeof entries[0])

/* Where the one-line error goes, and what it is about. */
struct complaint {
    char *error;
    size_t error_bytes;
    char about[96]; /* "variant 0: " or "variant 'x': " */
};

MODEL_PRINTF(2, 3) static bool complain(struct complaint *c, const char *format, ...)
{
    va_list list;
    int used = snprintf(c->error, c->error_bytes, "%s", c->about);
    va_start(list, format);
    if (used >= 0 && (size_t)used < c->error_bytes)
        vsnprintf(c->error + used, c->error_bytes - (size_t)used, format, list);
    va_end(list);
    for (char *at = c->error; c->error_bytes > 0 && *at != '\0'; at++)
        if (*at < ' ' || *at > '~')
            *at = '?';
    return false;
}

/* ----------------------------------------------------------------------------------- checks */

/* [a-z0-9-], at least one, at most `most` characters. */
static bool is_id(const char *text, size_t most)
{
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return length >= 1 && length <= most && text[length] == '\0';
}

static bool required_entries_check(const struct secret_alloc *v, struct complaint *c)
{
    const char *missing = v->open == NULL    ? "open"
                          : v->alloc == NULL ? "alloc"
                          : v->free == NULL  ? "free"
                                             : NULL;
    return missing == NULL || complain(c, "required entry '%s' is missing", missing);
}

static bool claim_check(const struct secret_alloc *v, const char *claim, struct complaint *c)
{
    unsigned needed = model_claim_entries(claim) & ~model_subject_entries(v);
    if (!is_id(claim, MODEL_CLAIM_BYTES - 1))
        return complain(c, "claim '%.40s' is not a promise id ([a-z0-9-], 1 to %u characters)",
                        claim, MODEL_CLAIM_BYTES - 1);
    for (size_t i = 0; i < ENTRIES; i++)
        if (needed & entries[i].entry)
            return complain(c, "claims '%s', which needs the entry '%s'", claim, entries[i].name);
    return true;
}

static bool claims_check(const struct secret_alloc *v, struct complaint *c)
{
    for (size_t i = 0; v->claims != NULL && v->claims[i] != NULL; i++) {
        if (i == MODEL_CLAIMS_MAX)
            return complain(c, "more than %u claims", MODEL_CLAIMS_MAX);
        if (!claim_check(v, v->claims[i], c))
            return false;
    }
    return true;
}

static bool texts_check(const struct secret_alloc *v, struct complaint *c)
{
    if (v->version == NULL)
        return complain(c, "has no version");
    return v->library != NULL || complain(c, "has no library");
}

static bool numbers_check(const struct secret_alloc *v, struct complaint *c)
{
    /* A table that is longer than ours is newer, and may have flags that we cannot know. */
    if (v->size <= sizeof *v && (v->flags & ~FLAGS_KNOWN) != 0)
        return complain(c, "flags 0x%x are not known", v->flags & ~FLAGS_KNOWN);
    return (v->min_align & (v->min_align - 1)) == 0 ||
           complain(c, "min_align %zu is not a power of two", v->min_align);
}

static bool name_check(const struct model_subject *subject, const struct secret_alloc *v,
                       struct complaint *c)
{
    if (v->name == NULL)
        return complain(c, "has no name");
    if (!is_id(v->name, NAME_CHARACTERS_MAX))
        return complain(c, "name '%.64s' is not [a-z0-9-], 1 to %u characters", v->name,
                        NAME_CHARACTERS_MAX);
    for (const struct secret_alloc *other = subject->variants; other < v; other++)
        if (strcmp(other->name, v->name) == 0)
            return complain(c, "name '%s' occurs twice", v->name);
    snprintf(c->about, sizeof c->about, "variant '%s': ", v->name);
    return true;
}

/* ---------------------------------------------------------------------------------- loading */

static bool variant_copy(struct model_subject *subject, const struct secret_alloc *table,
                         struct complaint *c)
{
    struct secret_alloc *v = &subject->variants[subject->count];
    uint32_t size = table->size;
    snprintf(c->about, sizeof c->about, "variant %zu: ", subject->count);
    if (size < sizeof table->size)
        return complain(c, "size %u is too small for a table", size);
    memset(v, 0, sizeof *v);
    memcpy(v, table, size < sizeof *v ? size : sizeof *v);
    if (!name_check(subject, v, c) || !required_entries_check(v, c) || !texts_check(v, c) ||
        !numbers_check(v, c) || !claims_check(v, c))
        return false;
    subject->count++;
    return true;
}

static bool variants_copy(struct model_subject *subject, const struct secret_alloc *const *tables,
                          struct complaint *c)
{
    if (tables == NULL)
        return complain(c, "does not serve contract version %u", STRONGROOM_ABI_MAJOR);
    if (tables[0] == NULL)
        return complain(c, "offers no variant");
    for (; *tables != NULL; tables++) {
        if (subject->count == MODEL_VARIANTS_MAX) {
            c->about[0] = '\0';
            return complain(c, "offers more than %u variants", MODEL_VARIANTS_MAX);
        }
        if (!variant_copy(subject, *tables, c))
            return false;
    }
    return true;
}

bool model_subject_refuse(char *error, size_t error_bytes, const char *what, const char *why)
{
    struct complaint c = {.error = error, .error_bytes = error_bytes};
    return complain(&c, "%s%s", what, why);
}

bool model_subject_take(struct model_subject *subject, const struct secret_alloc *const *tables,
                        char *error, size_t error_bytes)
{
    struct complaint c = {.error = error, .error_bytes = error_bytes};
    subject->count = 0;
    if (variants_copy(subject, tables, &c))
        return true;
    subject->count = 0;
    return false;
}

const struct secret_alloc *model_subject_find(const struct model_subject *subject, const char *name)
{
    if (name == NULL || name[0] == '\0')
        return subject->count == 1 ? &subject->variants[0] : NULL;
    for (size_t i = 0; i < subject->count; i++)
        if (strcmp(subject->variants[i].name, name) == 0)
            return &subject->variants[i];
    return NULL;
}

unsigned model_subject_entries(const struct secret_alloc *v)
{
    return (v->close != NULL ? (unsigned)MODEL_ENTRY_CLOSE : 0u) |
           (v->resize != NULL ? (unsigned)MODEL_ENTRY_RESIZE : 0u) |
           (v->alloc_aligned != NULL ? (unsigned)MODEL_ENTRY_ALLOC_ALIGNED : 0u) |
           (v->usable != NULL ? (unsigned)MODEL_ENTRY_USABLE : 0u) |
           (v->protect != NULL ? (unsigned)MODEL_ENTRY_PROTECT : 0u) |
           (v->locked_bytes != NULL ? (unsigned)MODEL_ENTRY_LOCKED_BYTES : 0u);
}

unsigned model_claim_entries(const char *promise_id)
{
    unsigned needed = 0;
    for (size_t i = 0; i < ENTRIES; i++)
        for (size_t j = 0; j < 3 && entries[i].promises[j] != NULL; j++)
            if (strcmp(entries[i].promises[j], promise_id) == 0)
                needed |= (unsigned)entries[i].entry;
    return needed;
}
