/*
 * held_up.h - holds a thread up that is about to sleep until there are several events
 *
 * Where a thread has set `is_held_up`, its next call that waits for more than one event posts
 * `about_to_sleep` right before it enters the kernel, and waits there for `go_on`.
 */
#ifndef HELD_UP_H
#define HELD_UP_H

#include "check.h"

#include <dlfcn.h>
#include <semaphore.h>
#include <stdarg.h>
#include <sys/syscall.h>

static __thread int is_held_up;
static sem_t about_to_sleep, go_on;

static inline void prepare_to_hold_up(void)
{
	CHECK_EQ(sem_init(&about_to_sleep, 0, 0), 0);
	CHECK_EQ(sem_init(&go_on, 0, 0), 0);
}

/* The library's way into the kernel: the program's own function is found first. */
long syscall(long number, ...)
{
	static long (*next)(long, ...);
	long arguments[6];
	va_list list;

	va_start(list, number);
	for (int i = 0; i < 6; i++)
		arguments[i] = va_arg(list, long);
	va_end(list);
	if (next == NULL)
		*(void **)&next = dlsym(RTLD_NEXT, "syscall");
	/* The third and the second say how many completions are wanted. */
	if (is_held_up && ((number == SYS_io_uring_enter && arguments[2] > 1) ||
	                   (number == SYS_io_getevents && arguments[1] > 1))) {
		is_held_up = 0;
		sem_post(&about_to_sleep);
		sem_wait(&go_on);
	}
	return next(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
	            arguments[5]);
}

#endif /* HELD_UP_H */
