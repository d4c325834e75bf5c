/* SPDX-License-Identifier: MIT */
/* emit_program.c: a program's text on standard input, the same as C on standard output: emit-program [SUBJECT [VARIANT]] */
#include <stdio.h>

#include "model/emit.h"

int main(int count, char **arguments)
{
    static struct model_program program;
    static char text[1 << 16];
    char error[160];
    size_t length = fread(text, 1, sizeof text - 1, stdin);
    text[length] = '\0';
    if (!model_program_parse(&program, text, NULL, error, sizeof error)) {
        fprintf(stderr, "emit-program: %s\n", error);
        return 2;
    }
    return model_emit_c(&program, count > 1 ? arguments[1] : "", count > 2 ? arguments[2] : "",
                        stdout)
               ? 0
               : 2;
}
