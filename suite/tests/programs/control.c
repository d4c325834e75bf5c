/* SPDX-License-Identifier: MIT */
/* control.c: the main of a control that is a program: the same tables, brought instead of loaded. */
#include "contract/strongroom_case.h"

int main(void)
{
    strongroom_case(STRONGROOM_ABI_MAJOR, strongroom_subjects(STRONGROOM_ABI_MAJOR));
}
