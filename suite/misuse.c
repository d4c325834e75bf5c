/* SPDX-License-Identifier: MIT */
/* misuse.c: a free that must not be: is it caught, and before anything is changed? */
#include "suite/misuse.h"

#include <inttypes.h>
#include <string.h>

const char *misuse_caught_by(const struct model_event *event)
{
    const char *signal = event->signal != 0 ? sigabbrev_np(event->signal) : NULL;
    if (event->message[0] != '\0')
        return event->message;
    return signal != NULL ? signal : "fatal";
}

enum finding misuse_judge(const struct case_run *run, const char *what, struct evidence *evidence)
{
    const struct seen *misuse = last_operation(run, MODEL_MISUSE);
    if (refused(run, evidence))
        return FINDING_REFUSED;
    if (misuse == NULL || misuse->event.outcome == MODEL_SKIPPED) {
        say(evidence, "%s could not be tried", what);
        return FINDING_UNSEEN;
    }
    note_address(evidence, "handed_in", misuse->event.old_address);
    if (misuse->event.outcome != MODEL_DIED) {
        say(evidence, "%s, of 0x%" PRIx64 ", returned as if nothing were wrong", what,
            misuse->event.old_address);
        return FINDING_BROKEN;
    }
    note_text(evidence, "caught_by", misuse_caught_by(&misuse->event));
    enum finding finding = contents_kept(run, evidence);
    if (finding == FINDING_KEPT)
        say(evidence, "caught, and the other secrets are whole");
    return finding;
}
