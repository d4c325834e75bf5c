/* SPDX-License-Identifier: MIT */
/*
 * main.c of strongroom-case: loads one subject and executes one program, watched by a supervisor.
 *
 * `strongroom-case --locks [SUBJECT.so]` only says whether a lock is real in such a process. Otherwise it is
 * started by the supervisor only, without capabilities, in a session of its own, with a socket as
 * descriptor 3. libc only.
 */
#include <stdio.h>
#include <string.h>

#include "model/ledger.h"
#include "suite/case/protocol.h"
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

/* Are locks real in this process, with that subject in it? A tool around us may have made them nothing. */
static int locks_prove(const char *subject_path)
{
    static struct model_subject subject;
    char error[sizeof((struct case_message *)0)->text];
    const char *wrong = NULL;
    if (subject_path != NULL && !model_subject_load(&subject, subject_path, error, sizeof error))
        wrong = error;
    else if (!ledger_can_lock())
        wrong = "a page locked by a raw system call does not show in VmLck (is RLIMIT_MEMLOCK 0?)";
    else if (!ledger_locks_are_real())
        wrong = "mlock() says 0 and VmLck does not rise: whoever calls it locks nothing";
    if (wrong != NULL)
        (void)fprintf(stderr, "strongroom-case: locks are not real here: %s\n", wrong);
    else
        (void)puts("locks are real: by a raw system call and by mlock()");
    return wrong != NULL ? 2 : 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--locks") == 0)
        return locks_prove(argv[2]);
    case_serve(&(struct case_surroundings){
        .load = load, .ledger_watch = ledger_watch, .ledger_calls = ledger_calls});
    (void)fputs("strongroom-case: started by hand; `strongroom replay` runs one program\n", stderr);
    return 2;
}
