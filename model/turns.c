/* SPDX-License-Identifier: MIT */
/*
 * turns.c: the second thread. It is made when a program first needs one and then kept for the life
 * of the process, because making one costs more than most programs; who has the turn is passed
 * explicitly, so that runs are deterministic.
 *
 *     first thread    turn = SECOND, wake ->             waits until turn is FIRST
 *     second thread   waits until turn is SECOND         runs, turn = FIRST, wake ->
 */
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "machine.h"
#include "raw.h"

enum turn { TURN_FIRST, TURN_SECOND };
#define THREAD_STACK_BYTES ((size_t)512 << 10)

static struct turns {
    long process; /* a forked child has no second thread, whatever its memory says */
    _Atomic uint32_t turn;
    struct machine *machine;
    _Alignas(16) unsigned char trap_stack[TRAP_STACK_BYTES];
} turns;

static void turn_pass(struct turns *t, enum turn to)
{
    atomic_store(&t->turn, to);
    raw_call3(SYS_futex, &t->turn, FUTEX_WAKE_PRIVATE, 1);
}

static void turn_await(struct turns *t, enum turn mine)
{
    uint32_t seen;
    while ((seen = atomic_load(&t->turn)) != (uint32_t)mine)
        raw_call4(SYS_futex, &t->turn, FUTEX_WAIT_PRIVATE, seen, 0);
}

static void *second_thread(void *arg)
{
    struct turns *t = arg;
    for (;;) {
        turn_await(t, TURN_SECOND);
        machine_run(t->machine, t->trap_stack);
        turn_pass(t, TURN_FIRST);
    }
    return NULL;
}

bool turns_are_made(void)
{
    return turns.process == raw_call0(SYS_getpid);
}

bool turns_ready(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    if (turns_are_made())
        return true;
    atomic_store(&turns.turn, TURN_FIRST);
    if (pthread_attr_init(&attributes) != 0)
        return false;
    pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    bool made = pthread_create(&thread, &attributes, second_thread, &turns) == 0;
    pthread_attr_destroy(&attributes);
    if (made)
        turns.process = raw_call0(SYS_getpid);
    return made;
}

void turns_give(struct machine *m)
{
    turns.machine = m;
    turn_pass(&turns, TURN_SECOND);
    turn_await(&turns, TURN_FIRST);
}
