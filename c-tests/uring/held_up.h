/*
 * held_up.h - holds a thread up that is about to enter the kernel
 *
 * Where a thread has set `held_up_before`, its next system call of that kind (after `let_by` others of it) posts
 * `about_to_enter` first, and waits there for `go_on`. Where it has set `raised_before`, SIGTERM comes there.
 */
#ifndef HELD_UP_H
#define HELD_UP_H

#include "check.h"

#include <dlfcn.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/syscall.h>

enum call {
	NONE,
	SLEEP, /* until there are several events */
	SUBMISSION,
	LOOK, /* at the descriptor `looked_at` */
	HOLD, /* of a file, by an io_uring */
};

static __thread enum call held_up_before, raised_before;
static __thread int looked_at, let_by;
/* How often the thread has slept for a moment, to try again what could not be done. */
static __thread int naps;
static sem_t about_to_enter, go_on;

static inline void prepare_to_hold_up(void)
{
	CHECK_EQ(sem_init(&about_to_enter, 0, 0), 0);
	CHECK_EQ(sem_init(&go_on, 0, 0), 0);
}

static inline enum call kind_of(long number, const long arguments[6])
{
	switch (number) {
	case SYS_io_getevents: /* the second says how many events are wanted */
		return arguments[1] > 1 ? SLEEP : NONE;
	case SYS_io_submit:
		return SUBMISSION;
	case SYS_fcntl:
		return arguments[0] == looked_at ? LOOK : NONE;
	case SYS_io_uring_enter: /* how many entries to take, and how many completions are wanted */
		return arguments[2] > 1 ? SLEEP : arguments[1] > 0 ? SUBMISSION : NONE;
	case SYS_io_uring_register: /* IORING_REGISTER_FILES_UPDATE */
		return arguments[1] == 6 ? HOLD : NONE;
	default:
		return NONE;
	}
}

/* The library's way into the kernel: the program's own function is found first. */
long syscall(long number, ...)
{
	static long (*next)(long, ...);
	long arguments[6];
	enum call kind;
	va_list list;

	va_start(list, number);
	for (int i = 0; i < 6; i++)
		arguments[i] = va_arg(list, long);
	va_end(list);
	if (next == NULL)
		*(void **)&next = dlsym(RTLD_NEXT, "syscall");
	naps += number == SYS_nanosleep;
	kind = kind_of(number, arguments);
	if (kind != NONE && kind == raised_before) {
		raised_before = NONE;
		raise(SIGTERM);
	}
	if (kind != NONE && kind == held_up_before && let_by-- == 0) {
		held_up_before = NONE;
		sem_post(&about_to_enter);
		sem_wait(&go_on);
	}
	return next(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
	            arguments[5]);
}

#endif /* HELD_UP_H */
