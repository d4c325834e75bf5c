/* SPDX-License-Identifier: MIT */
/*
 * library.c: libstrongroom-case, by which a program is a subject: contract/strongroom_case.h.
 *
 * It is linked into programs of others, so it replaces nothing of theirs: there is no ledger here, and
 * what needs one where there is no filter is not observable. libc only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "contract/strongroom_case.h"
#include "suite/case/serve.h"

static bool take(void *arg, const char *path, struct model_subject *subject, char *error,
                 size_t error_bytes)
{
    (void)path;
    return model_subject_take(subject, arg, error, error_bytes);
}

void strongroom_case(uint32_t abi_major, const struct secret_alloc *const *subjects)
{
    const struct case_surroundings around = {
        .arg = (void *)(uintptr_t)(abi_major == STRONGROOM_ABI_MAJOR ? subjects : NULL),
        .is_program = true,
        .load = take};
    case_serve(&around);
    (void)fputs("this program is a subject of strongroom: `strongroom verify PATH-OF-IT` runs it\n",
                stderr);
    _exit(2);
}
