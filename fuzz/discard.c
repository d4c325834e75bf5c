/* SPDX-License-Identifier: MIT */
/* discard.c: see discard.h. */
#include "fuzz/discard.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/ledger.h"
#include "model/raw.h"
#include "model/tools.h"

#define OBJECTS_MAX 256u
#define PIECES_MAX 64u
#define RANGES_MAX 8192u
#define THREAD_DATA_MAX 32u

struct piece {
    unsigned char *at, *saved;
    size_t size_bytes;
};

struct range {
    uintptr_t start, end;
};

/* What each thread has of its own of one object: how it begins, and where it lies by now. */
struct thread_data {
    ElfW(Addr) object;
    const unsigned char *first; /* the part that does not begin as zeros */
    size_t first_bytes, size_bytes;
    unsigned char *of_thread[2]; /* as many as a program has */
};

static struct {
    ElfW(Addr) before[OBJECTS_MAX]; /* objects that were there before the subject */
    size_t before_count;
    struct piece pieces[PIECES_MAX]; /* of the subject's data */
    size_t pieces_count;
    struct thread_data thread_data[THREAD_DATA_MAX];
    size_t thread_data_count;
    struct range ranges[RANGES_MAX]; /* mapped by the subject */
    size_t ranges_count;
    bool running, overflowed, failed;
} state;

/* ------------------------------------------------------------------------------------ mappings */

/* Takes a range out of those known; what is left of one that it cuts stays. */
MODEL_UNCHECKED static void ranges_remove(uintptr_t start, uintptr_t end)
{
    for (size_t i = 0; i < state.ranges_count;) {
        struct range *r = &state.ranges[i], old = *r;
        if (old.end <= start || end <= old.start) {
            i++;
            continue;
        }
        *r = state.ranges[--state.ranges_count];
        if (old.start < start && state.ranges_count < RANGES_MAX)
            state.ranges[state.ranges_count++] = (struct range){old.start, start};
        if (end < old.end && state.ranges_count < RANGES_MAX)
            state.ranges[state.ranges_count++] = (struct range){end, old.end};
    }
}

MODEL_UNCHECKED static void on_mapped(void *arg, long call, uintptr_t old_address,
                                      uintptr_t address, size_t size_bytes)
{
    (void)arg;
    if (!state.running)
        return;
    size_bytes = (size_bytes + 4095) & ~(size_t)4095;
    if (call == SYS_munmap) {
        ranges_remove(old_address, old_address + size_bytes);
        return;
    }
    if (old_address != 0 && old_address != address)
        ranges_remove(old_address, old_address + size_bytes);
    ranges_remove(address, address + size_bytes);
    if (state.ranges_count == RANGES_MAX)
        state.overflowed = true;
    else
        state.ranges[state.ranges_count++] = (struct range){address, address + size_bytes};
}

/* ----------------------------------------------------------------------------------------- data */

static int note_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    (void)arg;
    if (state.before_count < OBJECTS_MAX)
        state.before[state.before_count++] = info->dlpi_addr;
    return 0;
}

void discard_loading(void)
{
    state.before_count = 0;
    dl_iterate_phdr(note_object, NULL);
}

/* memcpy, which no sanitizer looks at: the red zones between its variables are copied too. */
MODEL_UNCHECKED static void copy(unsigned char *to, const unsigned char *from, size_t size_bytes)
{
#if defined(__x86_64__)
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size_bytes) : : "memory");
#else
    for (size_t i = 0; i < size_bytes; i++)
        ((volatile unsigned char *)to)[i] = from[i];
#endif
}

static void piece_add(uintptr_t start, uintptr_t end)
{
    if (end <= start)
        return;
    unsigned char *saved = state.pieces_count < PIECES_MAX ? malloc(end - start) : NULL;
    if (saved == NULL) {
        state.failed = true;
        return;
    }
    unsigned char *at = (unsigned char *)start;
    copy(saved, at, end - start);
    state.pieces[state.pieces_count++] =
        (struct piece){.at = at, .saved = saved, .size_bytes = end - start};
}

/* Saves a range but for the counters in it: holes, ordered by address. */
static void pieces_add(uintptr_t start, uintptr_t end, const struct range *holes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (holes[i].end <= start || end <= holes[i].start)
            continue;
        piece_add(start, holes[i].start);
        start = holes[i].end;
    }
    piece_add(start, end);
}

static int by_start(const void *a, const void *b)
{
    const struct range *x = a, *y = b;
    return x->start < y->start ? -1 : x->start > y->start;
}

/* The counters of an instrumented object, as its file has their sections. */
static size_t holes_of_image(const unsigned char *image, size_t size_bytes, ElfW(Addr) base,
                             struct range *holes, size_t holes_max)
{
    const ElfW(Ehdr) *head = (const void *)image;
    size_t count = 0;
    if (size_bytes < sizeof *head || head->e_shoff == 0 || head->e_shstrndx >= head->e_shnum ||
        head->e_shoff + (size_t)head->e_shnum * sizeof(ElfW(Shdr)) > size_bytes)
        return 0;
    const ElfW(Shdr) *sections = (const void *)(image + head->e_shoff);
    const ElfW(Shdr) *names = &sections[head->e_shstrndx];
    if (names->sh_offset + names->sh_size > size_bytes)
        return 0;
    for (size_t i = 0; i < head->e_shnum && count < holes_max; i++) {
        const char *name = (const char *)image + names->sh_offset + sections[i].sh_name;
        if (sections[i].sh_name < names->sh_size &&
            (strncmp(name, "__sancov_", 9) == 0 || strncmp(name, "__llvm_prf_", 11) == 0))
            holes[count++] = (struct range){base + sections[i].sh_addr,
                                            base + sections[i].sh_addr + sections[i].sh_size};
    }
    qsort(holes, count, sizeof *holes, by_start);
    return count;
}

static size_t holes_of(const char *path, ElfW(Addr) base, struct range *holes, size_t holes_max)
{
    size_t count = 0;
    struct stat about;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file >= 0 && fstat(file, &about) == 0 && about.st_size > 0) {
        size_t size_bytes = (size_t)about.st_size;
        void *image = malloc(size_bytes); /* no mapping: the ledger counts those of files */
        if (image != NULL) {
            if (read(file, image, size_bytes) == about.st_size)
                count = holes_of_image(image, size_bytes, base, holes, holes_max);
            free(image);
        }
    }
    if (file >= 0)
        close(file);
    return count;
}

static void thread_data_add(const struct dl_phdr_info *info, const ElfW(Phdr) * segment)
{
    if (state.thread_data_count == THREAD_DATA_MAX) {
        state.failed = true;
        return;
    }
    state.thread_data[state.thread_data_count++] =
        (struct thread_data){.object = info->dlpi_addr,
                             .first = (const unsigned char *)(info->dlpi_addr + segment->p_vaddr),
                             .first_bytes = segment->p_filesz,
                             .size_bytes = segment->p_memsz};
}

static void segment_save(const struct dl_phdr_info *info, const ElfW(Phdr) * segment,
                         const struct range *relro, const struct range *holes, size_t count)
{
    uintptr_t start = info->dlpi_addr + segment->p_vaddr, end = start + segment->p_memsz;
    if (relro->end > start && relro->start < end) { /* read-only by now, and its first part */
        pieces_add(start, relro->start, holes, count);
        start = relro->end;
    }
    pieces_add(start, end, holes, count);
}

static int save_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct range relro = {0}, holes[8];
    size_t count = holes_of(info->dlpi_name, info->dlpi_addr, holes, 8);
    (void)size;
    (void)arg;
    for (size_t i = 0; i < state.before_count; i++)
        if (state.before[i] == info->dlpi_addr)
            return 0;
    for (size_t i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_GNU_RELRO) {
            relro.start = (info->dlpi_addr + info->dlpi_phdr[i].p_vaddr) & ~(uintptr_t)4095;
            relro.end =
                (info->dlpi_addr + info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz + 4095) &
                ~(uintptr_t)4095;
        }
    for (size_t i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_W) != 0)
            segment_save(info, &info->dlpi_phdr[i], &relro, holes, count);
        else if (info->dlpi_phdr[i].p_type == PT_TLS)
            thread_data_add(info, &info->dlpi_phdr[i]);
    return 0;
}

/* A thread gets its own of an object when it first needs it. */
static int note_thread_data(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    (void)arg;
    for (size_t i = 0; i < state.thread_data_count && info->dlpi_tls_data != NULL; i++) {
        struct thread_data *data = &state.thread_data[i];
        unsigned char *mine = info->dlpi_tls_data, **place = data->of_thread;
        if (data->object != info->dlpi_addr || place[0] == mine || place[1] == mine)
            continue;
        place[place[0] != NULL] = mine;
    }
    return 0;
}

void discard_watch(bool subject_runs)
{
    state.running = subject_runs;
    if (!subject_runs && state.thread_data_count > 0)
        dl_iterate_phdr(note_thread_data, NULL);
}

bool discard_loaded(void)
{
    state.failed = false;
    dl_iterate_phdr(save_object, NULL);
    ledger_trace(on_mapped, NULL);
    return !state.failed;
}

MODEL_UNCHECKED static void pieces_restore(void)
{
    for (size_t i = 0; i < state.pieces_count; i++) {
        const struct piece *piece = &state.pieces[i];
        copy(piece->at, piece->saved, piece->size_bytes);
    }
}

MODEL_UNCHECKED static void thread_data_restore(void)
{
    for (size_t i = 0; i < state.thread_data_count; i++) {
        const struct thread_data *data = &state.thread_data[i];
        for (size_t t = 0; t < 2 && data->of_thread[t] != NULL; t++) {
            copy(data->of_thread[t], data->first, data->first_bytes);
            for (size_t at = data->first_bytes; at < data->size_bytes; at++)
                ((volatile unsigned char *)data->of_thread[t])[at] = 0;
        }
    }
}

/* AddressSanitizer, where it is in this process: an instrumented subject may have told it not to let
 * anyone touch what we unmap, and others map there later. */
extern void __asan_unpoison_memory_region(const volatile void *address, size_t size_bytes)
    __attribute__((weak));

bool discard_subject(void)
{
    for (size_t i = 0; i < state.ranges_count; i++) {
        struct range r = state.ranges[i];
        if (__asan_unpoison_memory_region != NULL)
            __asan_unpoison_memory_region((const void *)r.start, r.end - r.start);
        raw_call2(SYS_munmap, r.start, r.end - r.start);
    }
    state.ranges_count = 0;
    pieces_restore();
    thread_data_restore();
    return !state.overflowed;
}
