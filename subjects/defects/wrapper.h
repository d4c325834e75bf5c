/* SPDX-License-Identifier: MIT */
/*
 * wrapper.h: what a known-bad allocator that wraps a good one is made of.
 *
 * The good one is compiled into the same object, with its strongroom_subjects renamed to
 * base_subjects. A wrapper defines change(), which replaces entries of a copy of the base's first
 * table by its own; those call the original through `base`.
 */
#ifndef SUBJECTS_DEFECTS_WRAPPER_H
#define SUBJECTS_DEFECTS_WRAPPER_H

#include "contract/strongroom.h" /* declares base_subjects: strongroom_subjects is defined as that */

#undef strongroom_subjects
STRONGROOM_EXPORT const struct secret_alloc *const *strongroom_subjects(uint32_t abi_major);

static const struct secret_alloc *base;

static void change(struct secret_alloc *table);

const struct secret_alloc *const *strongroom_subjects(uint32_t abi_major)
{
    static struct secret_alloc table;
    static const struct secret_alloc *const subjects[] = {&table, NULL};
    const struct secret_alloc *const *bases = base_subjects(abi_major);
    if (!bases)
        return NULL;
    base = bases[0];
    table = *base;
    table.name = table.library = WRAPPER_NAME;
    change(&table);
    return subjects;
}

#endif
