/* SPDX-License-Identifier: MIT */
/*
 * forms.h: the grammar of operations: name and operands of each. One table serves decoding (which
 * fields matter and in which range), parsing, printing and emitting C.
 */
#ifndef MODEL_FORMS_H
#define MODEL_FORMS_H

#include "program.h"

enum operand {
    OPERAND_END,
    /* words from a list: their index times scale, within mask, of arg */
    OPERAND_ACCESS,  /* none|read|read-write */
    OPERAND_SIDE,    /* after|before|inside */
    OPERAND_OUTSIDE, /* after|before */
    OPERAND_WAY,     /* read|write */
    OPERAND_MISUSE,  /* double-free|... */
    OPERAND_PROCESS, /* libc|raw */
    OPERAND_ORDER,   /* first|last|every-other */
    OPERAND_CALL,    /* lock|mmap|... */
    OPERAND_WORDS,   /* how many kinds of those, OPERAND_END included */
    /* everything else */
    OPERAND_SLOT = OPERAND_WORDS, /* s0..s31 */
    OPERAND_SIZE,                 /* a size */
    OPERAND_SIZE_OPTIONAL,        /* a size; absent: raw 0 */
    OPERAND_OFFSET,               /* the same, for the kinds of misuse that have one */
    OPERAND_ALIGN,                /* a power of two; arg is its logarithm */
    OPERAND_COUNT,                /* a power of two or `full` */
    OPERAND_NTH,                  /* 1..255, in slot */
    OPERAND_ROUNDS,               /* a power of two */
    OPERAND_THREADS,              /* 2..8, in slot */
    OPERAND_ERRNO,                /* a name or a number, in size.value */
    OPERAND_AFTER,                /* `after` or nothing */
    OPERAND_ON,                   /* `on` or nothing */
    OPERAND_USE,                  /* `use` or nothing */
    OPERAND_USABLE,               /* `usable` or nothing */
    OPERAND_KINDS
};

#define FORM_OPERANDS_MAX 6u
#define FORM_ALIGN_LOG2S 32u /* alignments 2^0 .. 2^31 */
#define FORM_CROWD_LOG2S 18u /* counts 2^0 .. 2^17 = MODEL_CROWD_MAX */
#define FORM_STORM_LOG2S 13u /* rounds 2^0 .. 2^12 */

struct form {
    const char *name;
    uint8_t operands[FORM_OPERANDS_MAX]; /* enum operand, ended by OPERAND_END */
};

struct form_words {
    const char *noun;
    const char *words[MODEL_CALLS + 1];
    uint8_t count, mask, scale;
};

extern const struct form model_forms[MODEL_CODES];
extern const struct form_words model_words[OPERAND_WORDS];

/* Does this misuse take an offset? */
static inline bool form_has_offset(const struct model_operation *operation)
{
    return operation->arg == MODEL_INTERIOR_FREE || operation->arg == MODEL_WRONG_SIZE;
}

static inline unsigned form_word_index(enum operand operand, uint8_t arg)
{
    const struct form_words *w = &model_words[operand];
    return ((unsigned)(arg & w->mask) / w->scale) % w->count;
}

#endif
