/* SPDX-License-Identifier: MIT */
/* plan.c: turns the programs of a promise into cases, over the sweep of sizes. */
#include "suite/plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RAW(bytes)              \
    {                           \
        MODEL_SIZE_RAW, (bytes) \
    }
#define PAGES(pages, more)                                                      \
    {                                                                           \
        MODEL_SIZE_PAGES, (int32_t)((uint32_t)(pages) << 16 | (uint16_t)(more)) \
    }

/* Small, around class and word sizes, around pages: where real allocators change their ways. */
static const struct model_size sizes[] = {
    RAW(1),        RAW(7),       RAW(8),       RAW(9),       RAW(15),       RAW(16),
    RAW(17),       RAW(31),      RAW(32),      RAW(33),      RAW(63),       RAW(64),
    RAW(65),       RAW(256),     RAW(257),     RAW(2048),    PAGES(1, -17), PAGES(1, -1),
    PAGES(1, 0),   PAGES(1, 1),  PAGES(2, -1), PAGES(2, 0),  PAGES(2, 1),   PAGES(3, 17),
    PAGES(16, -1), PAGES(16, 0), PAGES(16, 1), PAGES(64, 0),
};

/* One of each kind: below a word, words, odd, half a page, around one page, several. */
static const struct model_size part[] = {
    RAW(1),       RAW(8),      RAW(31),     RAW(32),      RAW(257),     RAW(2048),
    PAGES(1, -1), PAGES(1, 0), PAGES(1, 1), PAGES(3, 17), PAGES(16, 0),
};

/* For --quick. */
static const struct model_size few[] = {
    RAW(32),
    RAW(257),
    PAGES(1, 1),
    PAGES(3, 17),
};
static const struct model_size fewer[] = {RAW(32), PAGES(3, 17)};

#define COUNT(array) (sizeof(array) / sizeof *(array))

const struct model_size *plan_sizes(size_t *count)
{
    *count = COUNT(sizes);
    return sizes;
}

static struct planned_case *case_add(struct plan *plan)
{
    if (plan->count == plan->room) {
        plan->room = plan->room * 2 + 64;
        struct planned_case *more = realloc(plan->cases, plan->room * sizeof *more);
        if (more == NULL)
            abort();
        plan->cases = more;
    }
    return &plan->cases[plan->count++];
}

void plan_case(struct plan *plan, const char *label, const char *text, const struct model_size *n)
{
    char why[160];
    struct model_program program;
    struct planned_case *planned = case_add(plan);
    (void)snprintf(planned->label, sizeof planned->label, "%s", label);
    if (!model_program_parse(&program, text, n, why, sizeof why) && plan->error[0] == '\0')
        (void)snprintf(plan->error, sizeof plan->error, "case '%.40s': %.130s", planned->label,
                       why);
    planned->program = model_program_copy(&program);
    if (planned->program == NULL)
        abort();
}

void plan_at(struct plan *plan, const char *prefix, const char *size, const char *text)
{
    char label[48];
    struct model_size n;
    (void)snprintf(label, sizeof label, "%s%sn=%s", prefix, prefix[0] != '\0' ? " " : "", size);
    if (model_size_parse(size, &n))
        plan_case(plan, label, text, &n);
    else if (plan->error[0] == '\0')
        (void)snprintf(plan->error, sizeof plan->error, "case '%s': no size", label);
}

void plan_text_add(struct plan_text *text, const char *format, ...)
{
    size_t room = sizeof text->bytes - text->length;
    va_list arguments;
    va_start(arguments, format);
    int added = vsnprintf(text->bytes + text->length, room, format, arguments);
    va_end(arguments);
    if (added < 0 || (size_t)added >= room)
        abort();
    text->length += (size_t)added;
}

static void plan_sized(struct plan *plan, const char *prefix, const char *text,
                       const struct model_size *n)
{
    char size[24];
    plan_at(plan, prefix, model_size_print(*n, size, sizeof size), text);
}

static void plan_each(struct plan *plan, const char *prefix, const char *text,
                      const struct model_size *each, size_t count)
{
    for (size_t i = 0; i < count; i++)
        plan_sized(plan, prefix, text, &each[i]);
}

bool plan_is_quick(const struct plan *plan)
{
    return plan->quick;
}

void plan_sweep_as(struct plan *plan, const char *prefix, const char *text)
{
    plan_each(plan, prefix, text, plan->quick ? few : sizes,
              plan->quick ? COUNT(few) : COUNT(sizes));
}

void plan_part_as(struct plan *plan, const char *prefix, const char *text)
{
    plan_each(plan, prefix, text, plan->quick ? fewer : part,
              plan->quick ? COUNT(fewer) : COUNT(part));
}

void plan_sweep(struct plan *plan, const char *text)
{
    plan_sweep_as(plan, "", text);
}

bool plan_make(struct plan *plan, const struct promise *promise, bool quick)
{
    *plan = (struct plan){.quick = quick};
    promise->plan(plan);
    return plan->error[0] == '\0';
}

const struct planned_case *plan_find(const struct plan *plan, const char *label)
{
    for (size_t i = 0; i < plan->count; i++)
        if (strcmp(plan->cases[i].label, label) == 0)
            return &plan->cases[i];
    return NULL;
}

void plan_free(struct plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        free(plan->cases[i].program);
    free(plan->cases);
}
