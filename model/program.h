/* SPDX-License-Identifier: MIT */
/*
 * program.h: the one language of suite and fuzz: what an allocator for secrets can be asked to do.
 *
 * A program is a list of operations. It exists in three forms, which convert without loss:
 * this struct, a text for people, and bytes for fuzzers.
 *
 *   text                              bytes: a header record, then a record per operation
 *                                      0    1    2    3    4    5    6    7
 *   strongroom program 1              'S'  'R'  'P'  ver  flags 0    0    0
 *   limit 2*page                      code slot arg  kind value, little-endian, signed
 *   open
 *   alloc s0 page-1                   Any bytes are a valid program: what is out of range is
 *   fill s0                           reduced modulo the range, a trailing partial record is
 *   free s0                           dropped; so a flipped byte changes one operation.
 *
 * Sizes are symbolic, so that one program is the same case on 4 KiB and 64 KiB pages. In a text
 * the letter `n` stands for the size being swept; it is replaced when the text is read, as are
 * `n+1`, `n-1`, `2*n` and the like where the result is a size of the same kind.
 */
#ifndef MODEL_PROGRAM_H
#define MODEL_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_PROGRAM_VERSION 1u
#define MODEL_RECORD_BYTES 8u
#define MODEL_SLOTS 32u            /* named secrets s0..s31 */
#define MODEL_OPERATIONS_MAX 1024u /* in one program; more are dropped when bytes are read */
#define MODEL_CROWD_MAX 131072u    /* secrets in the crowd: many at once, without names */
#define MODEL_CROWD_MS 2000u       /* no crowd grows for longer than that, */
#define MODEL_CROWD_LEAST 4096u /* but for so many: else a slow machine might not meet the limit */
#define MODEL_CROWD_FULL_MAX 1152u /* `full` adds no more than that */
#define MODEL_STORM_THREADS_MAX 8u
#define MODEL_STORM_SIZE_MAX ((size_t)1 << 20) /* of each secret in a storm */
#define MODEL_SIZE_TABLE_ENTRIES 64u           /* sizes that `table:0` to `table:63` stand for */

/* struct model_program.flags */
#define MODEL_KEEP_IPC_LOCK 1u /* text: `privileged`: the case keeps CAP_IPC_LOCK */

/* How a size is written. value is added to (RAW, FROM_MAX, FROM_HALF) or is packed (PAGES). */
enum model_size_kind {
    MODEL_SIZE_RAW,   /* value                                text: 4096            */
    MODEL_SIZE_PAGES, /* (value >> 16) pages + (int16_t)value text: 3*page-1, page  */
    MODEL_SIZE_MAX,   /* SIZE_MAX - value                     text: max-7, max      */
    MODEL_SIZE_HALF,  /* SIZE_MAX / 2 + value                 text: half+1, half    */
    MODEL_SIZE_TABLE, /* one of a table of interesting sizes  text: table:5         */
    MODEL_SIZE_KINDS
};

struct model_size {
    uint8_t kind; /* enum model_size_kind */
    int32_t value;
};

/*
 * The operations. `slot`, `arg` and `size` mean what the comment says and are 0 where it says
 * nothing. An operation that cannot be done in the present state (free of an empty slot, an entry
 * that the subject does not offer) is skipped and reported as skipped.
 */
enum model_code {
    /* the surroundings */
    MODEL_LIMIT, /* limit SIZE             set the soft RLIMIT_MEMLOCK                          */
    MODEL_OPEN,  /* open [SIZE]            open the subject with this lock budget; 0: default   */
    MODEL_CLOSE, /* close                  close it, whatever is still alive                    */
    MODEL_FAIL,  /* fail CALL NTH ERRNO [after] [on]   the NTH next CALL within subject code fails;
                  *   slot: NTH from 1, 0 read as 1; arg: enum model_call; size.value: errno in the
                  *   low 12 bits, MODEL_FAIL_AFTER, MODEL_FAIL_ON                              */
    MODEL_HEAL,  /* heal                   system calls work again                              */
    MODEL_BATON, /* baton                  the other thread does what follows                   */

    /* one secret */
    MODEL_ALLOC,         /* alloc sN SIZE                                                       */
    MODEL_ALLOC_ALIGNED, /* alloc-aligned sN SIZE ALIGN   arg: log2 of ALIGN                     */
    MODEL_FREE,          /* free sN                                                             */
    MODEL_RESIZE,        /* resize sN SIZE                                                      */
    MODEL_FILL,          /* fill sN [usable]       plant a new secret in all bytes asked for;
                          *   arg 1: in all usable bytes. Beyond 64 MiB it is skipped           */
    MODEL_CHECK,         /* check sN               its bytes are those planted, to the last     */
    MODEL_LOOK,          /* look sN                are its pages locked? by every witness        */
    MODEL_PEEK,          /* peek sN                what is at its place now, alive or freed      */
    MODEL_PROTECT,       /* protect sN none|read|read-write                                     */

    /* touching what is not ours; a trap is caught and reported, and the program goes on */
    MODEL_TOUCH, /* touch sN after|before|inside read|write DISTANCE  one byte; arg: enum
                  *   model_side, MODEL_TOUCH_WRITE; DISTANCE 0 is the first byte past that end  */
    MODEL_WALK,  /* walk sN after|before LIMIT  read outward until the first trap; its distance  */
    MODEL_SMASH, /* smash sN after|before COUNT overwrite COUNT bytes past that end              */
    MODEL_STALE, /* stale sN read|write         touch every page of a freed secret               */

    /* misuse of an entry; the program ends if it is caught */
    MODEL_MISUSE, /* misuse sN KIND [OFFSET]     arg: enum model_misuse; OFFSET 0 is read as 1   */

    /* processes */
    MODEL_FORK, /* fork libc|raw [use]        a child in which everything is looked at; with `use`
                 *   it also allocates, frees what it inherited, and exits                       */

    /* many secrets */
    MODEL_CROWD,      /* crowd SIZE COUNT|full  allocate and fill up to COUNT more secrets, until
                        *   alloc says no; full: or until these are more bytes than the lock
                        *   limit, MODEL_CROWD_FULL_MAX at most; arg: log2 of COUNT, 255: full   */
    MODEL_CROWD_LOOK, /* crowd-look             are all of them there, whole, locked            */
    MODEL_CROWD_FREE, /* crowd-free first|last|every-other  all of them from that end, or half  */

    /* several threads */
    MODEL_STORM, /* storm SIZE ROUNDS THREADS   so many threads (2 to 8, in slot) allocate (also by
                  *   resize and with an alignment, where offered), fill, look, check and free at the same time, so many rounds each (a power of two: its log2 in
                  *   arg); in the end nothing of theirs is alive                               */

    MODEL_CODES
};

enum model_side { MODEL_AFTER, MODEL_BEFORE, MODEL_INSIDE, MODEL_SIDES };
#define MODEL_TOUCH_WRITE 4u /* touch, stale: arg */
#define MODEL_FILL_USABLE 1u /* fill: arg */
#define MODEL_FILL_MAX_BYTES ((size_t)64 << 20)
#define MODEL_WALK_MAX_BYTES ((size_t)64 << 20) /* no walk goes on further than that */
#define MODEL_FORK_RAW 1u                       /* fork: arg */
#define MODEL_FORK_USE 2u
#define MODEL_CROWD_FULL 255u /* crowd: arg */

enum model_misuse {
    MODEL_DOUBLE_FREE,   /* double-free           free a slot's last, already freed secret      */
    MODEL_INTERIOR_FREE, /* interior-free OFFSET  free(p + OFFSET) of a live one                 */
    MODEL_FOREIGN_FREE,  /* foreign-free          free memory that was never the subject's       */
    MODEL_WRONG_SIZE,    /* wrong-size OFFSET     free(p, n + OFFSET): not the size asked for     */
    MODEL_MISUSES
};

/* System calls that `fail` can name. The group `lock` is mlock, mlock2 and mlockall. */
enum model_call {
    MODEL_CALL_LOCK,
    MODEL_CALL_MMAP,
    MODEL_CALL_MPROTECT,
    MODEL_CALL_MADVISE,
    MODEL_CALL_MUNMAP,
    MODEL_CALL_MUNLOCK,
    MODEL_CALL_MEMFD_SECRET,
    MODEL_CALL_GETRANDOM,
    MODEL_CALLS
};
#define MODEL_FAIL_ERRNO 0xfff
#define MODEL_FAIL_AFTER 0x1000 /* the call takes effect, and still reports failure */
#define MODEL_FAIL_ON 0x2000    /* and so do all that follow, until `heal` */

enum model_order { MODEL_FIRST, MODEL_LAST, MODEL_EVERY_OTHER, MODEL_ORDERS };

struct model_operation {
    uint8_t code; /* enum model_code */
    uint8_t slot;
    uint8_t arg;
    struct model_size size;
};

struct model_program {
    uint32_t flags;
    size_t count;
    struct model_operation operations[MODEL_OPERATIONS_MAX];
};

/* The size in bytes that a symbolic size stands for with pages of page_bytes; wraps as size_t. */
size_t model_size_bytes(struct model_size size, size_t page_bytes);
/* Entry `index` (modulo their number) of the table of interesting sizes. */
struct model_size model_size_interesting(unsigned index);
/* Reads one size in its text form ("3*page-1"); false if it is not one. */
bool model_size_parse(const char *text, struct model_size *size);
/* Writes a size in its text form; always terminated. Returns out. */
const char *model_size_print(struct model_size size, char *out, size_t out_bytes);

/* The one canonical form of an operation: what its line above does not mention is 0, the rest is
 * in range (reduced modulo it). What is decoded or parsed is canonical. */
struct model_operation model_operation_canonical(const struct model_operation *operation);

/* Reads any bytes as a program (see the head of this file). Without the header's magic the bytes
 * are all records. Never fails: an empty input is an empty program. */
void model_program_decode(struct model_program *program, const uint8_t *bytes, size_t count_bytes);
/* Writes the header and the records; returns how many bytes that takes, writes nothing past
 * out_bytes. decode(encode(p)) is p, for every p whose operations are canonical. */
size_t model_program_encode(const struct model_program *program, uint8_t *out, size_t out_bytes);

/* A copy that takes no more room than its operations do; the caller frees it. NULL: no memory. */
struct model_program *model_program_copy(const struct model_program *program);

/* Reads the text form. `n` is the size that the letter n stands for; NULL if it may not occur.
 * Comments run from # to the end of the line. On failure false, and error holds one line:
 * "line 3: alloc: 'x7' is not a slot (s0 to s31)". */
bool model_program_parse(struct model_program *program, const char *text,
                         const struct model_size *n, char *error, size_t error_bytes);
/* Writes the text form, header line included; returns the length that the whole takes, as
 * snprintf. parse(print(p)) is p. */
size_t model_program_print(const struct model_program *program, char *out, size_t out_bytes);
/* Writes one operation as one line, without the newline. Returns out. */
const char *model_operation_print(const struct model_operation *operation, char *out,
                                  size_t out_bytes);

#endif
