/*
 * queue.h - a list of spans, first in, first out; any may leave early. All steps take the same time.
 *
 *     oldest -> ... younger -> ... youngest        a span is in at most one queue
 */
#ifndef QUEUE_H
#define QUEUE_H

#include "pool.h"

static inline void queue_push(struct span_queue *queue, struct span *span)
{
    span->older = queue->youngest;
    span->younger = NULL;
    if (queue->youngest != NULL)
        queue->youngest->younger = span;
    else
        queue->oldest = span;
    queue->youngest = span;
    queue->length++;
}

static inline void queue_remove(struct span_queue *queue, struct span *span)
{
    if (span->older != NULL)
        span->older->younger = span->younger;
    else
        queue->oldest = span->younger;
    if (span->younger != NULL)
        span->younger->older = span->older;
    else
        queue->youngest = span->older;
    queue->length--;
}

/* There is one. */
static inline struct span *queue_pop(struct span_queue *queue)
{
    struct span *span = queue->oldest;
    queue_remove(queue, span);
    return span;
}

#endif
