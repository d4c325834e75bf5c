/* SPDX-License-Identifier: MIT */
/* cmocka_all.h: cmocka, after the headers that it needs but does not include. */
#ifndef MODEL_TESTS_CMOCKA_ALL_H
#define MODEL_TESTS_CMOCKA_ALL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
