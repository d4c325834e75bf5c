/* SPDX-License-Identifier: MIT */
/*
 * discard.h: brings a subject back to the state it was loaded in, after its `fatal` was jumped out
 * of: that context is never used again, but its locks count, and it may stand in a list of its
 * library's.
 *
 *     data of each object that came with the subject   saved when it was loaded, copied back
 *     what its threads have of their own                as it was at first
 *     mappings that it made since                       unmapped
 *
 * What it had from malloc is lost: some hundred bytes for each discarded context. Counters that an
 * instrumented object keeps in its data (sections named __sancov_..., __llvm_prf_...) stay as they are.
 */
#ifndef FUZZ_DISCARD_H
#define FUZZ_DISCARD_H

#include <stdbool.h>
#include <stddef.h>

/* Call it before the subject is loaded; then discard_loaded after. False: no memory. */
void discard_loading(void);
bool discard_loaded(void);
/* Mappings made and unmade between these two are the subject's. */
void discard_watch(bool subject_runs);
/* Does it. False: too many mappings were made for all to be known; the process should end. */
bool discard_subject(void);

#endif
