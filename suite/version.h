/* SPDX-License-Identifier: MIT */
/* version.h: the version of the program, as meson.build has it. */
#ifndef SUITE_VERSION_H
#define SUITE_VERSION_H

#define STRONGROOM_VERSION "0.1.0"

#endif
