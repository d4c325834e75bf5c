/* SPDX-License-Identifier: MIT */
/* nearest.c: edit distance over the short names of options, subjects and promises. */
#include "nearest.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define NAME_BYTES 64u

static size_t least(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Letters to insert, drop, change or swap with the next to make b of a; rows of the usual table,
 * of which three are kept. */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][NAME_BYTES + 1];
    size_t a_length = strlen(a), b_length = strlen(b);

    for (size_t j = 0; j <= b_length; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *second = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            row[j] = least(above[j - 1] + (a[i - 1] != b[j - 1]), above[j] + 1, row[j - 1] + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], second[j - 2] + 1, row[j]);
        }
    }
    return rows[a_length % 3][b_length];
}

/* At least three letters, and the beginning of name. */
static bool begins(const char *word, const char *name)
{
    size_t length = strlen(word);
    return length >= 3 && strncmp(word, name, length) == 0;
}

const char *nearest(const char *word, const char *const *names)
{
    const char *best = NULL;
    size_t best_distance = strlen(word) / 3 + 1;

    if (strlen(word) > NAME_BYTES)
        return NULL;
    for (; *names != NULL; names++) {
        if (strlen(*names) > NAME_BYTES)
            continue;
        size_t d = begins(word, *names) ? 1 : distance(word, *names);
        if (d < best_distance || (d == best_distance && best == NULL && d < strlen(word))) {
            best = *names;
            best_distance = d;
        }
    }
    return best;
}
