/* SPDX-License-Identifier: MIT */
/* notify.c: seccomp user notification by libseccomp. */
#include "suite/observe/notify.h"

#include <errno.h>
#include <limits.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24 /* linux/mman.h since 5.18 */
#endif
/* linux/seccomp.h since 6.6: wake the other side on this CPU: 8 us a call instead of 45 */
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP 1u
#endif

static const int advices_that_discard[] = {MADV_DONTNEED, MADV_FREE, MADV_REMOVE,
                                           MADV_DONTNEED_LOCKED};

static const int calls_that_signal[] = {SCMP_SYS(kill),
                                        SCMP_SYS(tkill),
                                        SCMP_SYS(tgkill),
                                        SCMP_SYS(rt_sigqueueinfo),
                                        SCMP_SYS(rt_tgsigqueueinfo),
                                        SCMP_SYS(pidfd_send_signal)};

/* Calls by which memory goes away. Not exit: see docs/decisions.md. */
static const int calls_that_release[] = {
    SCMP_SYS(munmap),   SCMP_SYS(munlock), SCMP_SYS(munlockall), SCMP_SYS(mremap),
    SCMP_SYS(brk),      SCMP_SYS(shmdt),   SCMP_SYS(fallocate),  SCMP_SYS(process_madvise),
    SCMP_SYS(ftruncate)};

static const int calls_for_faults[] = {
    SCMP_SYS(mmap),   SCMP_SYS(mprotect), SCMP_SYS(madvise),   SCMP_SYS(mlock),
    SCMP_SYS(mlock2), SCMP_SYS(mlockall), SCMP_SYS(getrandom), SCMP_SYS(memfd_secret)};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool watch(scmp_filter_ctx context, const int *calls, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int failed = seccomp_rule_add(context, SCMP_ACT_NOTIFY, calls[i], 0);
        if (failed != 0 && failed != -EDOM) /* EDOM: this architecture has no such call */
            return false;
    }
    return true;
}

/* Of mmap and madvise only what gives memory back. */
static bool watch_discarding(scmp_filter_ctx context)
{
    if (seccomp_rule_add(context, SCMP_ACT_NOTIFY, SCMP_SYS(mmap), 1,
                         SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_FIXED, MAP_FIXED)) != 0)
        return false;
    for (size_t i = 0; i < COUNT(advices_that_discard); i++)
        if (seccomp_rule_add(context, SCMP_ACT_NOTIFY, SCMP_SYS(madvise), 1,
                             SCMP_A2(SCMP_CMP_EQ, (scmp_datum_t)advices_that_discard[i])) != 0)
            return false;
    return true;
}

static bool filter_build(scmp_filter_ctx context, enum notify_watch what)
{
    /* A subject with code of another architecture goes unwatched rather than killed. */
    if (seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW) != 0 ||
        !watch(context, calls_that_signal, COUNT(calls_that_signal)))
        return false;
    if (what == NOTIFY_SIGNALS)
        return true;
    if (!watch(context, calls_that_release, COUNT(calls_that_release)))
        return false;
    return what == NOTIFY_FAULTS ? watch(context, calls_for_faults, COUNT(calls_for_faults))
                                 : watch_discarding(context);
}

/* libseccomp exports to a descriptor only. */
static bool filter_export(scmp_filter_ctx context, struct notify_filter *filter)
{
    int fd = memfd_create("strongroom-filter", MFD_CLOEXEC);
    if (fd < 0)
        return false;
    bool good = false;
    if (seccomp_export_bpf(context, fd) == 0) {
        ssize_t got = pread(fd, filter->bytes, sizeof filter->bytes, 0);
        filter->size_bytes = got > 0 ? (size_t)got : 0;
        good = got > 0 && filter->size_bytes < sizeof filter->bytes;
    }
    (void)close(fd);
    return good;
}

bool notify_filter_make(struct notify_filter *filter, enum notify_watch what, char *why,
                        size_t why_bytes)
{
    scmp_filter_ctx context = seccomp_init(SCMP_ACT_ALLOW);
    bool good = context != NULL && filter_build(context, what) && filter_export(context, filter);
    if (context != NULL)
        seccomp_release(context);
    if (!good)
        (void)snprintf(why, why_bytes, "libseccomp cannot build a notifying filter here");
    return good;
}

bool notify_receive(int listener_fd, struct seccomp_notif *request)
{
    memset(request, 0, sizeof *request); /* the kernel insists */
    return ioctl(listener_fd, SECCOMP_IOCTL_NOTIF_RECV, request) == 0;
}

void notify_answer(int listener_fd, const struct seccomp_notif *request, int error)
{
    struct seccomp_notif_resp answer = {
        .id = request->id,
        .error = -error,
        .flags = error == 0 ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0,
    };
    /* ENOENT: the thread was killed meanwhile; nothing to answer. */
    (void)ioctl(listener_fd, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

static struct notify_call release(uint64_t address, uint64_t size_bytes)
{
    return (struct notify_call){
        .meaning = NOTIFY_RELEASE, .address = address, .size_bytes = size_bytes};
}

static bool discards(uint64_t advice)
{
    for (size_t i = 0; i < COUNT(advices_that_discard); i++)
        if (advice == (uint64_t)advices_that_discard[i])
            return true;
    return false;
}

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

/* mremap(2): a shorter one gives its tail back; MREMAP_FIXED what was at the new place. */
static struct notify_call remap(const __u64 *args)
{
    return (struct notify_call){
        .meaning = NOTIFY_REMAP,
        .remap = {.old_address = args[0],
                  .old_bytes = args[1],
                  .new_bytes = args[2],
                  .new_address = args[4],
                  .moves = (args[3] & (MREMAP_MAYMOVE | MREMAP_DONTUNMAP)) != 0,
                  .onto = (args[3] & MREMAP_FIXED) != 0}};
}

static struct notify_call meaning_of(int call, const __u64 *args)
{
    if (call == SCMP_SYS(munmap) || call == SCMP_SYS(munlock))
        return release(args[0], args[1]);
    if (call == SCMP_SYS(madvise))
        return discards(args[2]) ? release(args[0], args[1]) : (struct notify_call){0};
    if (call == SCMP_SYS(mmap))
        return (args[3] & MAP_FIXED) != 0 ? release(args[0], args[1]) : (struct notify_call){0};
    if (call == SCMP_SYS(mremap))
        return remap(args);
    if (call == SCMP_SYS(shmdt) || call == SCMP_SYS(munlockall))
        return (struct notify_call){.meaning = NOTIFY_RELEASE,
                                    .address = args[0],
                                    .size_bytes = UINT64_MAX}; /* as much as there is */
    if (call == SCMP_SYS(process_madvise))
        return discards(args[3]) ? (struct notify_call){.meaning = NOTIFY_VECTOR,
                                                        .address = args[1],
                                                        .size_bytes = args[2]}
                                 : (struct notify_call){0};
    if (call == SCMP_SYS(ftruncate))
        return (struct notify_call){
            .meaning = NOTIFY_FILE, .descriptor = (int)args[0], .size_bytes = args[1]};
    if (call == SCMP_SYS(fallocate)) /* fallocate(2): without a mode nothing is lost */
        return args[1] == 0 ? (struct notify_call){0}
                            : (struct notify_call){.meaning = NOTIFY_FILE, .descriptor = -1};
    if (call == SCMP_SYS(pidfd_send_signal))
        return (struct notify_call){.meaning = NOTIFY_SIGNAL, .process = INT_MIN};
    if (call == SCMP_SYS(brk))
        return (struct notify_call){.meaning = NOTIFY_BREAK, .address = args[0]};
    if (call == SCMP_SYS(kill) || call == SCMP_SYS(tkill) || call == SCMP_SYS(tgkill) ||
        call == SCMP_SYS(rt_sigqueueinfo) || call == SCMP_SYS(rt_tgsigqueueinfo))
        return (struct notify_call){.meaning = NOTIFY_SIGNAL, .process = (int)args[0]};
    return (struct notify_call){.meaning = NOTIFY_OTHER};
}

static int fault_of(int call)
{
    if (call == SCMP_SYS(mlock) || call == SCMP_SYS(mlock2) || call == SCMP_SYS(mlockall))
        return MODEL_CALL_LOCK;
    return call == SCMP_SYS(mmap)           ? MODEL_CALL_MMAP
           : call == SCMP_SYS(mprotect)     ? MODEL_CALL_MPROTECT
           : call == SCMP_SYS(madvise)      ? MODEL_CALL_MADVISE
           : call == SCMP_SYS(munmap)       ? MODEL_CALL_MUNMAP
           : call == SCMP_SYS(munlock)      ? MODEL_CALL_MUNLOCK
           : call == SCMP_SYS(memfd_secret) ? MODEL_CALL_MEMFD_SECRET
           : call == SCMP_SYS(getrandom)    ? MODEL_CALL_GETRANDOM
                                            : -1;
}

struct notify_call notify_read(const struct seccomp_notif *request)
{
    struct notify_call call = meaning_of(request->data.nr, request->data.args);
    call.fault = fault_of(request->data.nr);
    char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, request->data.nr);
    (void)snprintf(call.name, sizeof call.name, "%s", name != NULL ? name : "?");
    free(name);
    return call;
}
