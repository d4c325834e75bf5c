/* SPDX-License-Identifier: MIT */
/* bad-free: a free of what is not the start of a live secret is caught before anything is changed. */
#include <stdio.h>

#include "suite/misuse.h"

#define LEAST_PAGE ((size_t)4096) /* what fits into a size with small pages does with larger ones */

/* An offset of the size or more may lead to the start of the next secret, which may be freed. */
static void plan_interior(struct plan *p, const char *offset)
{
    size_t count;
    const struct model_size *sizes = plan_sizes(&count);
    struct model_size by;
    bool known = model_size_parse(offset, &by);
    for (size_t i = 0; i < count && known; i++) {
        char label[48], size[24], text[160];
        if (i % 3 != 0 ||
            model_size_bytes(by, LEAST_PAGE) >= model_size_bytes(sizes[i], LEAST_PAGE))
            continue;
        (void)snprintf(label, sizeof label, "interior-%s n=%s", offset,
                       model_size_print(sizes[i], size, sizeof size));
        (void)snprintf(text, sizeof text, MISUSE_THREE "misuse s1 interior-free %s\n", offset);
        plan_case(p, label, text, &sizes[i]);
    }
}

static void plan(struct plan *p)
{
    plan_interior(p, "1");
    plan_interior(p, "16");
    plan_interior(p, "page");
    plan_part_as(p, "foreign", MISUSE_THREE "misuse s1 foreign-free\n");
}

static enum finding judge(const struct case_run *run, struct evidence *evidence)
{
    const struct seen *misuse = last_operation(run, MODEL_MISUSE);
    bool foreign = misuse != NULL && misuse->operation.arg == MODEL_FOREIGN_FREE;
    return misuse_judge(
        run, foreign ? "a free of foreign memory" : "a free of an address inside of a secret",
        evidence);
}

const struct promise promise_bad_free = {
    .id = "bad-free",
    .level = PROMISE_HARDENING,
    .statement = "A free of an address that is not the start of a live secret, inside of one or "
                 "foreign, is caught before anything is changed.",
    .observed = "1, 16 and a page of bytes past the start of a live secret, and an address that no "
                "allocator ever handed out, are freed in the acting process itself. That must end "
                "the program, by `fatal` or a signal; the live secrets are then compared from "
                "outside.",
    .in_practice =
        "Rounding the address down to its slot or page, so that any address in it will do; "
        "a header or canary that is looked for before the address and found by chance; "
        "handing what is not known to the system's free; or doing nothing and returning.",
    .observers = OBSERVE_TRAPS | OBSERVE_MEMORY,
    .plan = plan,
    .judge = judge,
};
