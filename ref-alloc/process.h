/*
 * process.h - what the heaps of a process share: how much they have locked together, and which they are.
 *
 * It lies on one page that the kernel clears in a forked child, where no page is locked and no lock is held
 * (fork(2)). A heap joins the child's list when it is first used there.
 */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#pragma GCC visibility push(hidden)

struct ref_alloc_heap;

/* Must have succeeded once in the process before the others, but process_visit, are called. false and errno. */
bool process_prepare(void);

/* The sum over all heaps. */
_Atomic size_t *process_locked_bytes(void);

void process_add(struct ref_alloc_heap *heap);
/* When it returns, nobody visits this heap any more. */
void process_remove(struct ref_alloc_heap *heap);

/*
 * Calls `visit` for every heap but `except` until one says true, and says so. No heap comes or goes meanwhile:
 * the list stays locked, also over the system calls that `visit` makes.
 */
bool process_visit(const struct ref_alloc_heap *except, bool (*visit)(struct ref_alloc_heap *heap));

#pragma GCC visibility pop

#endif
