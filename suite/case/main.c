/* SPDX-License-Identifier: MIT */
/*
 * main.c of strongroom-case: loads one subject and executes one program, watched by a supervisor.
 *
 * It is started by the supervisor only, without capabilities, in a session of its own, with a socket
 * as descriptor 3. libc only.
 */
#include <stdio.h>

#include "suite/case/serve.h"

static bool load(void *arg, const char *path, struct model_subject *subject, char *error,
                 size_t error_bytes)
{
    (void)arg;
    return model_subject_load(subject, path, error, error_bytes);
}

static uint64_t ledger_calls(void)
{
    return ledger_counts().calls;
}

int main(void)
{
    case_serve(&(struct case_surroundings){
        .load = load, .ledger_watch = ledger_watch, .ledger_calls = ledger_calls});
    (void)fputs("strongroom-case: started by hand; `strongroom replay` runs one program\n", stderr);
    return 2;
}
