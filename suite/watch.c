/* SPDX-License-Identifier: MIT */
/* watch.c: follows one case along and writes down what is seen. */
#include "model/shadow.h"
#include "suite/fills.h"
#include "suite/look.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define RELEASE_BYTES_MAX (UINT64_C(1) << 40) /* searched in seconds, if it is mostly empty */
#define VECTOR_MAX 1024u                      /* UIO_MAXIOV */

bool watch_blind(const struct watch *watch, unsigned observer)
{
    return (watch->host->blind & observer) != 0;
}

bool watch_wants(const struct watch *watch, unsigned observers)
{
    return (watch->wanted & observers) != 0;
}

struct seen *watch_seen_add(struct watch *watch, enum seen_kind kind)
{
    struct case_run *run = watch->run;
    if (run->count == watch->seen_room) {
        watch->seen_room = watch->seen_room * 2 + 32;
        struct seen *more = realloc(run->seen, watch->seen_room * sizeof *more);
        if (more == NULL)
            abort(); /* the harness is out of memory: nothing it says could be trusted */
        run->seen = more;
    }
    struct seen *seen = &run->seen[run->count++];
    *seen = (struct seen){.kind = kind,
                          .op_index = watch->op_index,
                          .operation = watch->operation,
                          .locked_bytes = UINT64_MAX};
    return seen;
}

void watch_failed(struct watch *watch, const char *how)
{
    watch->run->ending = ENDED_FAILED;
    (void)snprintf(watch->run->text, sizeof watch->run->text, "%s", how);
}

static uint64_t locked_bytes(const struct watch *watch)
{
    return watch_blind(watch, OBSERVE_LOCKS) ? 0 : target_locked_bytes(&watch->target);
}

/* ---- memory given back ---- */

static bool frees_one(const struct model_operation *operation)
{
    return operation->code == MODEL_FREE || operation->code == MODEL_RESIZE;
}

/* Close gives back the places of all that is alive: each is told of by itself. */
static void released_by_close(struct watch *watch, const struct seen_bytes *range)
{
    for (unsigned i = 0; i < MODEL_SLOTS; i++) {
        struct seen_bytes bytes = {.address = range->address, .size_bytes = range->size_bytes};
        if (!watch->slots[i].live)
            continue;
        memcpy(bytes.where, range->where, sizeof bytes.where);
        look_at_place(watch, &watch->target.memory, i, &bytes);
        if (bytes.place_bytes > 0)
            watch_seen_add(watch, SEEN_RELEASE)->bytes = bytes;
    }
}

/* Memory that only loses its lock stays the process's: a resize may have the new place on one of these
 * pages, and that is no copy. So only the old place counts. */
static bool clip_to_old_place(const struct watch *watch, uint64_t *start, uint64_t *size_bytes)
{
    const struct watched_slot *slot = &watch->slots[watch->operation.slot];
    uint64_t end = *start + *size_bytes, place_end = slot->address + look_place_bytes(slot);
    *start = *start > slot->address ? *start : slot->address;
    end = end < place_end ? end : place_end;
    *size_bytes = end > *start ? end - *start : 0;
    return *size_bytes > 0;
}

static void released(struct watch *watch, const char *name, uint64_t address, uint64_t size_bytes)
{
    if (watch->target.memory.mem_fd < 0 || watch_blind(watch, OBSERVE_RELEASES) || !watch->loaded)
        return;
    /* mm/mlock.c, mm/mmap.c: whole pages are meant */
    uint64_t page = watch->target.page_bytes;
    uint64_t start = address / page * page;
    if (size_bytes == UINT64_MAX) {
        uint64_t end = target_mapping_end(&watch->target, start);
        size_bytes = end > start ? end - start : 0;
    } else if (size_bytes > RELEASE_BYTES_MAX) {
        watch->run->observers &= ~(unsigned)OBSERVE_RELEASES; /* too much to look at */
        return;
    } else {
        size_bytes = (address + size_bytes + page - 1) / page * page - start;
    }
    if (watch->operation.code == MODEL_RESIZE && strcmp(name, "munlock") == 0 &&
        !clip_to_old_place(watch, &start, &size_bytes))
        return;
    struct seen_bytes bytes = look_at(watch, name, &watch->target.memory, start, size_bytes);
    if (frees_one(&watch->operation))
        look_at_place(watch, &watch->target.memory, watch->operation.slot, &bytes);
    if (bytes.place_bytes > 0 || bytes.dead_windows > 0 || bytes.live_windows > 0 ||
        bytes.short_whole)
        watch_seen_add(watch, SEEN_RELEASE)->bytes = bytes;
    if (watch->operation.code == MODEL_CLOSE)
        released_by_close(watch, &bytes);
}

/* Where the break is now we know from the call before: to ask smaps each time takes seconds where there
 * are many mappings. One that failed leaves too high an end, where nothing is. */
static void released_by_break(struct watch *watch, uint64_t new_end, bool by_child)
{
    bool known = watch->break_end != 0 && !by_child;
    uint64_t old_end = new_end == 0 ? 0
                       : known      ? watch->break_end
                                    : target_mapping_end(&watch->target, new_end);
    if (new_end != 0 && !by_child)
        watch->break_end = new_end;
    if (old_end > new_end)
        released(watch, "brk", new_end, old_end - new_end);
}

static void released_by_remap(struct watch *watch, const struct notify_call *call)
{
    if (call->remap.new_bytes < call->remap.old_bytes)
        released(watch, call->name, call->remap.old_address + call->remap.new_bytes,
                 call->remap.old_bytes - call->remap.new_bytes);
    if (call->remap.onto)
        released(watch, call->name, call->remap.new_address, call->remap.new_bytes);
    /* A free that moves the pages away keeps them; a resize may. */
    if ((call->remap.moves || call->remap.onto) && watch->operation.code == MODEL_FREE)
        released(watch, call->name, call->remap.old_address, call->remap.old_bytes);
}

static void released_by_vector(struct watch *watch, const struct notify_call *call)
{
    for (uint64_t i = 0; i < call->size_bytes && i < VECTOR_MAX; i++) {
        struct iovec range;
        if (target_read(&watch->target.memory, call->address + i * sizeof range, &range,
                        sizeof range) == sizeof range)
            released(watch, call->name, (uintptr_t)range.iov_base, range.iov_len);
    }
}

/* Which mapping loses its pages the descriptor does not tell: the secret being freed is looked at. */
static void released_by_file(struct watch *watch, const struct notify_call *call)
{
    const struct watched_slot *slot = &watch->slots[watch->operation.slot];
    char path[64];
    struct stat file;
    (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", watch->target.pid, call->descriptor);
    bool grows = call->descriptor >= 0 && stat(path, &file) == 0 &&
                 (uint64_t)file.st_size <= call->size_bytes;
    if (!grows && frees_one(&watch->operation) && slot->live)
        released(watch, call->name, slot->address, look_place_bytes(slot));
}

/* ---- notifications ---- */

/* Is the thread one of the case itself, or of a child of it? A child's memory is another. */
static bool is_case(const struct watch *watch, unsigned thread)
{
    char path[64];
    if ((pid_t)thread == watch->target.pid)
        return true;
    (void)snprintf(path, sizeof path, "/proc/%d/task/%u", watch->target.pid, thread);
    return access(path, F_OK) == 0;
}

/* A subject may signal what is its own: itself, its group, its children. */
static bool may_signal(const struct watch *watch, int process)
{
    pid_t pid = watch->target.pid;
    if (process == 0 || process == pid || process == -pid)
        return true;
    return process > 0 && (getsid(process) == pid || is_case(watch, (unsigned)process));
}

/* The errno with which the call is to fail, by the fault that is armed; 0: carry on. */
static int fault_due(struct watch *watch, const struct notify_call *call)
{
    if (!watch->fault.armed || !watch->in_subject || call->fault != watch->fault.call)
        return 0;
    unsigned number = ++watch->fault.counted;
    if (number != watch->fault.nth && !(watch->fault.on && number > watch->fault.nth))
        return 0;
    if (!watch->fault.told) {
        watch->fault.told = true;
        struct seen *seen = watch_seen_add(watch, SEEN_FAULT);
        (void)snprintf(seen->text, sizeof seen->text, "%s number %u %sfails with %s", call->name,
                       number, watch->fault.after ? "takes effect and " : "",
                       strerrorname_np(watch->fault.error));
    }
    return watch_blind(watch, OBSERVE_FAULTS) ? 0 : watch->fault.error;
}

/* Has the hand make the stopped call: it takes effect, and the answer will say that it failed. */
static void take_effect(struct watch *watch, const struct seccomp_notif *request)
{
    uint64_t arguments[6];
    memcpy(arguments, request->data.args, sizeof arguments);
    if (reach_call(&watch->target.memory.reach, request->data.nr, arguments) == -ENOTCONN)
        watch->run->observers &= ~(unsigned)OBSERVE_FAULTS;
}

static int judge_call(struct watch *watch, const struct notify_call *call, bool by_child)
{
    int error = fault_due(watch, call);
    if (error != 0)
        return error;
    switch (call->meaning) {
    case NOTIFY_RELEASE:
        released(watch, call->name, call->address, call->size_bytes);
        return 0;
    case NOTIFY_REMAP:
        released_by_remap(watch, call);
        return 0;
    case NOTIFY_VECTOR:
        released_by_vector(watch, call);
        return 0;
    case NOTIFY_FILE:
        released_by_file(watch, call);
        return 0;
    case NOTIFY_BREAK:
        released_by_break(watch, call->address, by_child);
        return 0;
    case NOTIFY_SIGNAL:
        if (may_signal(watch, call->process))
            return 0;
        (void)snprintf(watch_seen_add(watch, SEEN_SIGNAL)->text, sizeof((struct seen *)0)->text,
                       "%s to a process that is not its own", call->name);
        return EPERM;
    case NOTIFY_OTHER:
        return 0;
    }
    return 0;
}

void watch_notification(struct watch *watch)
{
    struct seccomp_notif request;
    if (!notify_receive(watch->listener_fd, &request))
        return;
    struct notify_call call = notify_read(&request);
    /* A child's calls are judged too: one made by vfork shares our memory, and a search costs only
     * time. Faults are for the case itself. */
    bool by_child = !is_case(watch, request.pid);
    if (by_child)
        call.fault = -1;
    int error = judge_call(watch, &call, by_child);
    if (error != 0 && call.fault == watch->fault.call && watch->fault.after)
        take_effect(watch, &request);
    notify_answer(watch->listener_fd, &request, error);
}

/* ---- messages ---- */

static void keep(int *kept, const struct case_message *message, enum case_fd which, const int *fds)
{
    *kept = message->fds[which] >= 0 ? fds[message->fds[which]] : -1;
}

static bool marker_reads(const struct target_memory *memory, uint64_t address)
{
    uint64_t value = 0;
    return memory->mem_fd >= 0 &&
           target_read(memory, address, &value, sizeof value) == sizeof value &&
           value == CASE_MARKER;
}

/* Which observers are at work in this case. */
static unsigned observers_at_work(const struct watch *watch, bool memory)
{
    unsigned set = OBSERVE_TRAPS | OBSERVE_LIMIT | OBSERVE_IPC_LOCK;
    if (memory)
        set |= OBSERVE_MEMORY | OBSERVE_CHILDREN | OBSERVE_RELEASES | OBSERVE_PROCESS |
               OBSERVE_SECRETMEM;
    if (watch->target.smaps_fd >= 0 && target_locked_bytes(&watch->target) != UINT64_MAX)
        set |= OBSERVE_LOCKS;
    if (watch->listener_fd >= 0)
        set |= OBSERVE_FAULTS;
    if (watch->host->swap != NULL)
        set |= OBSERVE_SWAP;
    if (watch->host->no_cores[0] == '\0')
        set |= OBSERVE_CORES;
    return set & ~watch->host->denied;
}

/* A case that could lock past the limit would prove nothing; nor would a privileged one without. */
static void capability_check(struct watch *watch)
{
    const struct model_program *program = watch->run->program;
    bool wanted = program != NULL && (program->flags & MODEL_KEEP_IPC_LOCK) != 0;
    bool held = (target_capabilities(&watch->target) & UINT64_C(1) << CAP_IPC_LOCK) != 0;
    if (held && !wanted)
        watch_failed(watch, "the case still has CAP_IPC_LOCK, so no limit binds it");
    else if (wanted && !held)
        watch->run->observers &= ~(unsigned)OBSERVE_IPC_LOCK;
}

/* What may be seen, and what counts, of a subject that is a program and was there before HELLO. */
static void hello_of_program(struct watch *watch)
{
    struct case_run *run = watch->run;
    /* The ledger stands in for the filter in strongroom-case only. */
    if (watch->listener_fd < 0)
        run->observers &= ~(unsigned)OBSERVE_RELEASES;
    /* exec takes all locks: what there is now is the program's own. */
    run->unloaded_locked_bytes = 0;
    int64_t pid = target_pid(&watch->target);
    if (pid < 0 || pid == watch->target.pid)
        return;
    run->ending = ENDED_REFUSED;
    (void)snprintf(run->text, sizeof run->text,
                   "calls strongroom_case() in a child process: call it in the one that was "
                   "started, or reach it by exec");
}

static void hello(struct watch *watch, const struct case_message *message, const int *fds)
{
    watch->run->greeted = true;
    keep(&watch->target.memory.mem_fd, message, CASE_FD_MEM, fds);
    keep(&watch->target.smaps_fd, message, CASE_FD_SMAPS, fds);
    keep(&watch->target.status_fd, message, CASE_FD_STATUS, fds);
    keep(&watch->target.memory.pagemap_fd, message, CASE_FD_PAGEMAP, fds);
    keep(&watch->listener_fd, message, CASE_FD_LISTENER, fds);
    keep(&watch->target.memory.reach.socket_fd, message, CASE_FD_HAND, fds);
    keep(&watch->target.memory.reach.bounce_fd, message, CASE_FD_BOUNCE, fds);
    watch->target.memory.reach.case_bounce_fd = message->bounce_fd;
    bool memory = marker_reads(&watch->target.memory, message->address);
    watch->run->observers = observers_at_work(watch, memory);
    watch->registers_address = message->event.address;
    watch->registers_bytes = message->event.size_bytes;
    watch->run->code = message->listener_errno;
    watch->run->unloaded_locked_bytes = locked_bytes(watch);
    if (watch->run->variant->is_program)
        hello_of_program(watch);
    capability_check(watch);
}

/* What a child has at the place of a live secret. Memory that is mapped there and that only the child
 * itself can read (memfd_secret) is a secret that it can read. */
static struct seen_bytes look_at_child(const struct watch *watch, const struct target *child,
                                       unsigned slot_number)
{
    const struct watched_slot *slot = &watch->slots[slot_number];
    struct seen_bytes bytes =
        look_at(watch, "child", &child->memory, slot->address, slot->size_bytes);
    look_at_place(watch, &child->memory, slot_number, &bytes);
    if (bytes.readable_bytes == 0 && target_mapping_end(child, slot->address) != 0)
        bytes.live_windows = slot->size_bytes;
    return bytes;
}

/* A child shows itself: is any live secret to be read in it? */
static void child_shown(struct watch *watch, const struct case_message *message, const int *fds)
{
    struct target child = {.memory = {.pagemap_fd = -1,
                                      .reach = {.socket_fd = -1},
                                      .page_bytes = watch->target.page_bytes},
                           .status_fd = -1,
                           .page_bytes = watch->target.page_bytes};
    keep(&child.memory.mem_fd, message, CASE_FD_MEM, fds);
    keep(&child.smaps_fd, message, CASE_FD_SMAPS, fds);
    bool readable = marker_reads(&child.memory, message->address);
    for (unsigned i = 0; i < MODEL_SLOTS; i++) {
        if (!watch->slots[i].live || watch->slots[i].size_bytes == 0)
            continue;
        struct seen_bytes bytes = {.size_bytes = watch->slots[i].size_bytes};
        if (readable)
            bytes = look_at_child(watch, &child, i);
        if (watch_blind(watch, OBSERVE_CHILDREN))
            look_blindly(&bytes);
        struct seen *seen = watch_seen_add(watch, SEEN_CHILD);
        seen->bytes = bytes;
        seen->good = readable;
        (void)snprintf(seen->text, sizeof seen->text, "s%u", i);
    }
    if (child.memory.mem_fd >= 0)
        (void)close(child.memory.mem_fd);
    if (child.smaps_fd >= 0)
        (void)close(child.smaps_fd);
}

/* How much of a live secret can be read from outside: by /proc/PID/mem, without the hand. */
static void record_outside(struct watch *watch, unsigned slot_number)
{
    const struct watched_slot *slot = &watch->slots[slot_number];
    struct target_memory outside = watch->target.memory;
    outside.reach.socket_fd = -1;
    struct seen_bytes bytes = {.address = slot->address, .size_bytes = slot->size_bytes};
    (void)snprintf(bytes.where, sizeof bytes.where, "/proc/PID/mem");
    look_at_place(watch, &outside, slot_number, &bytes);
    if (watch_blind(watch, OBSERVE_SECRETMEM))
        bytes.place_bytes = 0;
    watch_seen_add(watch, SEEN_OUTSIDE)->bytes = bytes;
}

/* How many bytes, until the first wrong one, are those of the pool at an offset; and how many of them,
 * as the comparison's own control, are also those half a pool further on. */
struct in_order {
    uint64_t right, elsewhere;
};

static struct in_order bytes_in_order(const struct watch *watch, uint64_t offset, uint64_t address,
                                      uint64_t size_bytes)
{
    const struct secrets *secrets = &watch->host->secrets;
    struct in_order found = {0, 0};
    if (watch_blind(watch, OBSERVE_MEMORY))
        return (struct in_order){size_bytes, size_bytes};
    for (uint64_t done = 0; done < size_bytes && found.right == done;) {
        uint8_t chunk[4096];
        size_t want = size_bytes - done < sizeof chunk ? (size_t)(size_bytes - done) : sizeof chunk;
        size_t got = target_read(&watch->target.memory, address + done, chunk, want);
        for (size_t i = 0; i < got && found.right == done; i++, done++) {
            found.right += chunk[i] == secrets_byte(secrets, offset + done);
            found.elsewhere +=
                chunk[i] == secrets_byte(secrets, offset + CASE_POOL_BYTES / 2 + done);
        }
        if (got < want)
            break;
    }
    return found;
}

/* Are the first size_bytes of a secret still at address? */
static bool check(struct watch *watch, uint32_t number, uint64_t address, uint64_t size_bytes,
                  bool always_record)
{
    const struct fill *fill = fills_numbered(watch, number);
    if (watch->target.memory.mem_fd < 0 || fill == NULL)
        return false;
    uint64_t size = size_bytes < fill->kept ? size_bytes : fill->kept;
    struct in_order found = bytes_in_order(watch, fill->offset, address, size);
    bool good = found.right == size;
    if (size >= SECRETS_WINDOW_BYTES && found.elsewhere == size)
        watch_failed(watch, "the comparison of bytes takes any bytes for right");
    if (!good || always_record) {
        struct seen *seen = watch_seen_add(watch, SEEN_CHECK);
        seen->good = good;
        if (good)
            (void)snprintf(seen->text, sizeof seen->text,
                           "%" PRIu64 " bytes at 0x%" PRIx64 " are whole", size, address);
        else
            (void)snprintf(seen->text, sizeof seen->text,
                           "byte %" PRIu64 " of %" PRIu64 ", at 0x%" PRIx64
                           ", is not what was planted",
                           found.right, size, address + found.right);
    }
    return good;
}

/* How many of the crowd, whose table lies in the case, are whole; the first that is not is told. */
static uint64_t check_crowd(struct watch *watch, uint64_t table, uint64_t count)
{
    struct shadow_secret members[256];
    uint64_t whole = 0;
    for (uint64_t done = 0; done < count;) {
        size_t want = count - done < 256 ? (size_t)(count - done) : 256;
        if (target_read(&watch->target.memory, table + done * sizeof *members, members,
                        want * sizeof *members) != want * sizeof *members)
            break;
        for (size_t i = 0; i < want; i++)
            whole += members[i].fill == 0 || check(watch, members[i].fill, members[i].address,
                                                   members[i].known_bytes, false);
        done += want;
    }
    return whole;
}

/* After the subject ended the program: did it leave the live secrets alone? */
static void check_all(struct watch *watch)
{
    for (unsigned i = 0; i < MODEL_SLOTS; i++) {
        const struct fill *fill = watch->slots[i].live ? fills_alive_in(watch, i) : NULL;
        if (fill == NULL || fill->state != FILL_LIVE)
            continue;
        (void)check(watch, fill->number, fill->address, fill->kept, true);
    }
}

static bool locks_of(const struct watch *watch, uint64_t address, uint64_t size_bytes,
                     struct target_locks *locks)
{
    bool good = target_locks(&watch->target, address, size_bytes, locks);
    if (watch_blind(watch, OBSERVE_LOCKS))
        locks->lo_pages = locks->dd_pages = locks->pages;
    return good;
}

static void record_locks(struct watch *watch, const struct model_event *event)
{
    struct target_locks nowhere;
    struct seen *seen = watch_seen_add(watch, SEEN_LOCKS);
    seen->event = *event;
    seen->good = locks_of(watch, event->address, event->size_bytes, &seen->locks);
    seen->pageout_pages = event->count_locked;
    seen->locked_bytes = locked_bytes(watch);
    /* The control: the page at 0 is never mapped, so it must not count as locked. */
    if (locks_of(watch, 0, 1, &nowhere) && (nowhere.lo_pages != 0 || nowhere.dd_pages != 0))
        watch_failed(watch, "the observer of locks takes any page for locked");
}

static void begin(struct watch *watch, const struct case_message *message)
{
    watch->operation = message->operation;
    watch->op_index = message->op_index;
    watch->in_subject = model_calls_subject(message->operation.code);
    if (message->operation.code == MODEL_OPEN)
        watch->run->baseline_locked_bytes = locked_bytes(watch);
    else if (frees_one(&message->operation))
        fills_become_in(watch, message->operation.slot, FILL_DYING);
    else if (message->operation.code == MODEL_CLOSE)
        fills_become(watch, FILL_DYING);
}

static void slot_set(struct watch *watch, const struct model_event *event)
{
    watch->slots[watch->operation.slot] =
        (struct watched_slot){.live = true,
                              .address = event->address,
                              .size_bytes = event->size_bytes,
                              .usable_bytes = event->usable_bytes};
}

static void resized(struct watch *watch, const struct model_event *event)
{
    unsigned number = watch->operation.slot;
    struct fill *fill = fills_alive_in(watch, number);
    look_record_left_behind(watch, number, event);
    slot_set(watch, event);
    if (fill != NULL) {
        fill->address = event->address;
        if (fill->kept > event->size_bytes)
            fill->kept = event->size_bytes;
        fill->state = FILL_LIVE;
    }
}

static void freed(struct watch *watch)
{
    unsigned number = watch->operation.slot;
    look_record_place(watch, "free", number);
    fills_become_in(watch, number, FILL_DEAD);
    watch->slots[number].live = false;
}

static void closed(struct watch *watch)
{
    for (unsigned i = 0; i < MODEL_SLOTS; i++) {
        if (watch->slots[i].live)
            look_record_place(watch, "close", i);
        watch->slots[i].live = false;
    }
    fills_become(watch, FILL_DEAD);
}

static void ended_well(struct watch *watch, const struct model_event *event)
{
    switch (watch->operation.code) {
    case MODEL_ALLOC:
    case MODEL_ALLOC_ALIGNED:
        slot_set(watch, event);
        break;
    case MODEL_RESIZE:
        resized(watch, event);
        break;
    case MODEL_FREE:
        freed(watch);
        break;
    case MODEL_CLOSE:
        closed(watch);
        break;
    case MODEL_LOOK:
        record_locks(watch, event);
        if (watch_wants(watch, OBSERVE_SECRETMEM))
            record_outside(watch, watch->operation.slot);
        if (watch_wants(watch, OBSERVE_SWAP) && watch->host->swap != NULL)
            look_record_swap(watch);
        break;
    case MODEL_PEEK:
        look_record_place(watch, "peek", watch->operation.slot);
        break;
    default:
        break;
    }
}

static bool touches(unsigned code)
{
    return code == MODEL_WALK || code == MODEL_TOUCH || code == MODEL_SMASH || code == MODEL_STALE;
}

/* A trap that a blind observer of traps would report: a perfect guard. */
static void blind_trap(struct model_event *event)
{
    event->outcome = MODEL_TRAPPED;
    event->signal = 11;
    event->code = 2; /* SEGV_ACCERR */
    event->distance_bytes = 0;
}

/* Without the filter the ledger stands in. It is blind to raw system calls: where locks change and
 * it saw no call, releases may have gone unseen as well. */
static void ledger_check(struct watch *watch, uint64_t ledger_calls)
{
    uint64_t locked = target_locked_bytes(&watch->target);
    if (locked != watch->last_locked_bytes && ledger_calls == watch->last_ledger_calls)
        watch->run->observers &= ~(unsigned)OBSERVE_RELEASES;
    watch->last_locked_bytes = locked;
    watch->last_ledger_calls = ledger_calls;
}

static bool looks_at_many(unsigned code)
{
    return code == MODEL_CROWD_LOOK || code == MODEL_STORM;
}

/* Operations after which nothing of what they ended may be left anywhere. Which of a crowd were freed
 * is not told: it is looked at when all were. */
static bool leaves_nothing(unsigned code, const struct model_event *event)
{
    return code == MODEL_FREE || code == MODEL_CLOSE || code == MODEL_STORM ||
           (code == MODEL_CROWD_FREE && event->count == 0);
}

static void end(struct watch *watch, const struct case_message *message)
{
    watch->in_subject = false;
    struct seen *seen = watch_seen_add(watch, SEEN_OPERATION);
    seen->event = message->event;
    if (watch->listener_fd < 0)
        ledger_check(watch, message->ledger_calls);
    if (watch_blind(watch, OBSERVE_TRAPS) && touches(watch->operation.code))
        blind_trap(&seen->event);
    if (watch_blind(watch, OBSERVE_LOCKS) && looks_at_many(watch->operation.code))
        seen->event.count_locked = seen->event.count;
    if (watch_blind(watch, OBSERVE_TRAPS) && watch->operation.code == MODEL_MISUSE)
        seen->event.outcome = MODEL_DIED;
    if (watch_wants(watch, OBSERVE_LOCKS) && model_calls_subject(watch->operation.code))
        seen->locked_bytes = locked_bytes(watch);
    if (watch->operation.code == MODEL_CROWD)
        fills_planted_many(watch, message->event.size_bytes, message->pool_offset, FILL_CROWD);
    if (watch->operation.code == MODEL_STORM)
        fills_planted_many(watch, message->event.size_bytes, message->pool_offset, FILL_DEAD);
    if (watch->operation.code == MODEL_CROWD_FREE && message->event.count == 0)
        fills_crowd_dead(watch);
    if (message->event.outcome == MODEL_OK)
        ended_well(watch, &message->event);
    else if (message->event.outcome == MODEL_DIED)
        check_all(watch);
    else if (watch->operation.code == MODEL_CLOSE && message->event.outcome == MODEL_REFUSED)
        closed(watch); /* the context is gone all the same: contract/strongroom.h */
    else if (frees_one(&watch->operation)) /* refused: as before */
        fills_become_in(watch, watch->operation.slot, FILL_LIVE);
    if (watch_wants(watch, OBSERVE_PROCESS) &&
        leaves_nothing(watch->operation.code, &message->event) &&
        message->event.outcome != MODEL_SKIPPED)
        look_record_process(watch);
}

static bool fault_set(struct watch *watch, const struct case_message *message)
{
    watch->fault.armed = false;
    if (message->error == 0)
        return true;
    if ((watch->run->observers & OBSERVE_FAULTS) == 0 ||
        (message->after != 0 && watch->target.memory.reach.socket_fd < 0))
        return false;
    watch->fault.armed = true;
    watch->fault.told = false;
    watch->fault.on = message->on != 0;
    watch->fault.after = message->after != 0;
    watch->fault.call = message->call;
    watch->fault.error = message->error;
    watch->fault.nth = message->nth;
    watch->fault.counted = 0;
    return true;
}

static void released_by_ledger(struct watch *watch, const struct case_message *message)
{
    char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, message->call);
    released(watch, name != NULL ? name : "?", message->address, message->size_bytes);
    free(name);
}

static void violated(struct watch *watch, const struct case_message *message)
{
    if (watch->host->model_is_deaf)
        return;
    struct seen *seen = watch_seen_add(watch, SEEN_VIOLATION);
    (void)snprintf(seen->promise, sizeof seen->promise, "%s", message->promise);
    (void)snprintf(seen->text, sizeof seen->text, "%s", message->text);
}

uint64_t watch_message(struct watch *watch, const struct case_message *message, const int *fds)
{
    switch ((enum case_kind)message->kind) {
    case CASE_HELLO:
        hello(watch, message, fds);
        return 0;
    case CASE_LOADED:
        watch->loaded = true;
        return 0;
    case CASE_BEGIN:
        begin(watch, message);
        return 0;
    case CASE_END:
        end(watch, message);
        return 0;
    case CASE_CHECK:
        return check(watch, message->fill, message->address, message->size_bytes,
                     watch->operation.code == MODEL_CHECK);
    case CASE_CROWD:
        return check_crowd(watch, message->address, message->size_bytes);
    case CASE_PLANTED:
        fills_planted(watch, message);
        return 0;
    case CASE_FAULT:
        return fault_set(watch, message);
    case CASE_CHILD:
        child_shown(watch, message, fds);
        return 0;
    case CASE_VIOLATED:
        violated(watch, message);
        return 0;
    case CASE_RELEASE:
        released_by_ledger(watch, message);
        return 0;
    case CASE_FINISHED:
        watch->finished = true;
        return watch->core_folder[0] != '\0';
    case CASE_REFUSED:
    case CASE_FAILED:
        watch->finished = true;
        watch->run->ending = message->kind == CASE_REFUSED ? ENDED_REFUSED : ENDED_FAILED;
        (void)snprintf(watch->run->text, sizeof watch->run->text, "%s", message->text);
        return 0;
    case CASE_VARIANT: /* its description follows: see supervise.c */
        return 0;
    }
    return 0;
}

void watch_close(struct watch *watch)
{
    const struct target *target = &watch->target;
    int fds[] = {target->memory.mem_fd,
                 target->memory.pagemap_fd,
                 target->memory.reach.socket_fd,
                 target->memory.reach.bounce_fd,
                 target->smaps_fd,
                 target->status_fd,
                 watch->listener_fd,
                 watch->socket_fd};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
    free(watch->fills);
}
