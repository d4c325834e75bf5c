/* SPDX-License-Identifier: MIT */
/* program.c: one case as a C program that needs nothing of ours: see model/emit.h. */
#include <stdlib.h>

#include "model/emit.h"
#include "report.h"
#include "suite/plan.h"

static const char *deciding_case(const struct verdict_record *record)
{
    return json_string_value(json_object_get(record->evidence.details, "deciding_case"));
}

/* The first broken verdict, else the first that a case decided; NULL: none. */
static const struct verdict_record *choose(const struct run_result *result, bool broken,
                                           const struct subject_result **whose)
{
    for (size_t s = 0; s < result->count; s++) {
        for (size_t v = 0; v < result->subjects[s].count; v++) {
            const struct verdict_record *record = &result->subjects[s].verdicts[v];
            if (deciding_case(record) == NULL || (broken && record->verdict != VERDICT_BROKEN))
                continue;
            *whose = &result->subjects[s];
            return record;
        }
    }
    return NULL;
}

char *report_program(const struct run_result *result, const char *only_case,
                     const struct subject_result **whose)
{
    const struct subject_result *subject = NULL;
    const struct verdict_record *record = choose(result, true, &subject);
    const struct planned_case *planned = NULL;
    struct plan plan;
    char *text = NULL;
    size_t text_bytes = 0;

    if (record == NULL && only_case != NULL)
        record = choose(result, false, &subject);
    *whose = subject;
    if (record == NULL || subject->is_program)
        return NULL;
    if (plan_make(&plan, record->promise, false))
        planned = plan_find(&plan, deciding_case(record));
    FILE *out = planned != NULL ? open_memstream(&text, &text_bytes) : NULL;
    if (out != NULL) {
        bool written = model_emit_c(planned->program, subject->path, subject->name, out);
        if (fclose(out) != 0 || !written) {
            free(text);
            text = NULL;
        }
    }
    plan_free(&plan);
    return text;
}
