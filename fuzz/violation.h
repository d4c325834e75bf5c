/* SPDX-License-Identifier: MIT */
/* violation.h: what a fuzzer reports: a promise that was seen broken, and by which operation. */
#ifndef FUZZ_VIOLATION_H
#define FUZZ_VIOLATION_H

#include <stdint.h>

struct violation {
    char promise_id[32]; /* empty: none */
    uint32_t op_index;   /* of the program; past its end: while it was torn down */
    char text[192];      /* one line, no byte of a secret, printable ASCII without quotes */
};

#endif
