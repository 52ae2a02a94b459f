/*
 * against_the_kernel.h - runs a call of the library and the raw system call on the same arguments,
 * each in a child of its own, and compares what comes back.
 *
 * A case is: prepare the arguments, make the call. Three things must agree: the answer (the raw
 * one as -errno), the first events stored, and that the child lives. Besides, errno must be the
 * error after a failure, and untouched after a success. A differing case prints one line.
 *
 * The kernel takes tens of milliseconds to end a process with a context, so several cases run at
 * once, each in a process that starts the two children; its verdict comes back in a slot.
 */
#ifndef AGAINST_THE_KERNEL_H
#define AGAINST_THE_KERNEL_H

#include "check.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* What a call is made with; each takes what it needs. */
struct arguments {
	io_context_t ctx;
	int maxevents;
	io_context_t *ctxp;
	long min_nr, nr;
	struct io_event *events;
	struct timespec *timeout;
	sigset_t *sigmask;
	struct iocb **ios;
	struct iocb *iocb;
	struct io_event *result;
};

typedef void (*prepare_t)(struct arguments *);
typedef long (*call_t)(struct arguments *);

/* A function of the library and its system call. */
struct function {
	const char *name;
	call_t library, kernel;
};

struct outcome {
	int finished, error;
	long answer;
	struct io_event events[2];
};

/* One case: what its two calls gave, and the line to print where they differ. */
struct slot {
	struct outcome kernel, library;
	char line[200];
};

enum { MOST_CASES = 4000, AT_ONCE = 16, ERRNO_BEFORE = 4242 };

/* Good values for the arguments. */
static struct io_event event_room[4], result_room;
static struct iocb some_iocb;
static struct iocb *some_list[4];
static struct timespec no_wait = { 0, 0 }, short_wait = { 0, 1000000 };
static sigset_t no_signals;
static io_context_t ctx_room;
static int ready_fd, never_fd;

static struct slot *slots;
static int cases, running;

static long kernel_answer(long ret)
{
	return ret == -1 ? -errno : ret;
}

/* Each of these makes a pair: the library's function and the system call that it stands for. */
#define PAIR(name, library_call, kernel_call)                                                      \
	static long library_##name(struct arguments *a)                                            \
	{                                                                                          \
		(void)a;                                                                           \
		return library_call;                                                               \
	}                                                                                          \
	static long kernel_##name(struct arguments *a)                                             \
	{                                                                                          \
		(void)a;                                                                           \
		return kernel_answer(kernel_call);                                                 \
	}                                                                                          \
	static const struct function name                                                          \
		__attribute__((unused)) = { #name, library_##name, kernel_##name };

static inline long raw_pgetevents(struct arguments *a)
{
	struct {
		const void *mask;
		size_t size;
	} sigset = { a->sigmask, 8 };

	return syscall(SYS_io_pgetevents, a->ctx, a->min_nr, a->nr, a->events, a->timeout, &sigset);
}

PAIR(setup, io_setup(a->maxevents, a->ctxp), syscall(SYS_io_setup, a->maxevents, a->ctxp))
PAIR(destroy, io_destroy(a->ctx), syscall(SYS_io_destroy, a->ctx))
PAIR(submit, io_submit(a->ctx, a->nr, a->ios), syscall(SYS_io_submit, a->ctx, a->nr, a->ios))
PAIR(cancel, io_cancel(a->ctx, a->iocb, a->result),
     syscall(SYS_io_cancel, a->ctx, a->iocb, a->result))
PAIR(getevents, io_getevents(a->ctx, a->min_nr, a->nr, a->events, a->timeout),
     syscall(SYS_io_getevents, a->ctx, a->min_nr, a->nr, a->events, a->timeout))
PAIR(pgetevents, io_pgetevents(a->ctx, a->min_nr, a->nr, a->events, a->timeout, a->sigmask),
     raw_pgetevents(a))
PAIR(queue_init, io_queue_init(a->maxevents, a->ctxp), syscall(SYS_io_setup, a->maxevents, a->ctxp))
PAIR(queue_release, io_queue_release(a->ctx), syscall(SYS_io_destroy, a->ctx))
PAIR(queue_run, io_queue_run(a->ctx),
     syscall(SYS_io_getevents, a->ctx, 0L, 1L, event_room, &no_wait))
PAIR(queue_wait, io_queue_wait(a->ctx, a->timeout),
     syscall(SYS_io_getevents, a->ctx, 0L, 0L, NULL, a->timeout))

/*
 * Whether the kernel alone reads what the library is given (LIBAIO_REAP=syscall). Where the library
 * takes events from the ring, it reads and writes the program's memory as any C function does, so
 * addresses of user space where nothing is mapped fault; and a context that it made must not be
 * destroyed behind its back. The harness runs each test both ways.
 */
static inline int kernel_alone(void)
{
	const char *reap = getenv("LIBAIO_REAP");

	return reap != NULL && strcmp(reap, "syscall") == 0;
}

/* Whether contexts are made of io_uring (LIBAIO_ENGINE): then the system calls do not know them, and
   what the program hands to io_submit is read by the library, as any C function reads it. */
static inline int by_io_uring(void)
{
	const char *engine = getenv("LIBAIO_ENGINE");

	return engine != NULL && strcmp(engine, "io_uring") == 0;
}

/* Which of the two calls is being prepared. */
static int for_the_kernel;

/* io_submit for the call that is being prepared. */
static inline long submit_here(io_context_t ctx, long nr, struct iocb **list)
{
	if (for_the_kernel || !by_io_uring())
		return syscall(SYS_io_submit, ctx, nr, list);
	return io_submit(ctx, nr, list);
}

/* A context that the call which is being prepared knows. */
static inline io_context_t context_here(int n)
{
	io_context_t ctx = NULL;

	if (!for_the_kernel || !by_io_uring())
		return new_context(n);
	CHECK_EQ(syscall(SYS_io_setup, n, &ctx), 0);
	return ctx;
}

/* An address in the half that belongs to the kernel. */
static inline void *kernel_half(void)
{
	return (void *)(uintptr_t)0xffff800000000000u;
}

/* A page of `protection` between two that cannot be accessed. */
static inline void *lone_page(int protection)
{
	char *pages = mmap(NULL, 3 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(pages != MAP_FAILED);
	CHECK_EQ(mprotect(pages + 4096, 4096, protection), 0);
	return pages + 4096;
}

/* A page where nothing is mapped, below all programs, so that nothing comes there by itself. */
static inline void *unmapped_page(void)
{
	void *page = (void *)(uintptr_t)0x200000;
	unsigned char unused;

	CHECK(mincore(page, 4096, &unused) == -1 && errno == ENOMEM);
	return page;
}

/* Puts `n` events that are ready into the context. */
static inline void make_ready(io_context_t ctx, int n)
{
	static struct iocb done;
	struct iocb *list[1] = { &done };

	io_prep_poll(&done, ready_fd, POLLIN);
	for (int i = 0; i < n; i++)
		CHECK_EQ(submit_here(ctx, 1, list), 1);
}

/* Arguments that work: a context of 8, a request that is always ready, room for 4 events. */
static inline void good_arguments(struct arguments *a)
{
	ctx_room = NULL;
	sigemptyset(&no_signals);
	memset(event_room, 0xee, sizeof(event_room));
	io_prep_poll(&some_iocb, ready_fd, POLLIN);
	for (int i = 0; i < 4; i++)
		some_list[i] = &some_iocb;
	*a = (struct arguments){ .ctx = context_here(8),
		                 .maxevents = 1,
		                 .ctxp = &ctx_room,
		                 .min_nr = 0,
		                 .nr = 1,
		                 .events = event_room,
		                 .timeout = &short_wait,
		                 .sigmask = &no_signals,
		                 .ios = some_list,
		                 .iocb = &some_iocb,
		                 .result = &result_room };
}

/* Makes one of the two calls in a child; returns the signal that ended it, or 0. */
static inline int in_child(prepare_t context, prepare_t change, const struct function *f,
                           int kernel, struct outcome *out)
{
	pid_t child = fork();
	int status;

	CHECK(child >= 0);
	if (child == 0) {
		call_t call = kernel ? f->kernel : f->library;
		struct arguments a;

		for_the_kernel = kernel;
		good_arguments(&a);
		if (context != NULL)
			context(&a);
		if (change != NULL)
			change(&a);
		alarm(20); /* the signal of a call that waits for ever */
		errno = ERRNO_BEFORE;
		out->answer = call(&a);
		out->error = errno;
		memcpy(out->events, event_room, sizeof(out->events));
		out->finished = 1;
		_exit(0);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* Runs one case and writes its line. */
static inline void run_case(struct slot *slot, const struct function *f, prepare_t context,
                            prepare_t change)
{
	const struct outcome *kernel = &slot->kernel, *library = &slot->library;
	int by_kernel = in_child(context, change, f, 1, &slot->kernel);
	int by_library = in_child(context, change, f, 0, &slot->library);
	char why[100] = "";

	if ((!kernel->finished && !by_kernel) || (!library->finished && !by_library))
		snprintf(why, sizeof(why), "could not be prepared, see stderr");
	else if (by_kernel)
		snprintf(why, sizeof(why), "the system call itself ends by signal %d", by_kernel);
	else if (by_library)
		snprintf(why, sizeof(why), "ended by signal %d, the kernel answers %ld", by_library,
		         kernel->answer);
	else if (library->answer != kernel->answer)
		snprintf(why, sizeof(why), "%ld, the kernel answers %ld", library->answer,
		         kernel->answer);
	else if (memcmp(library->events, kernel->events, sizeof(kernel->events)) != 0)
		snprintf(why, sizeof(why), "other events than the kernel's");
	else if (library->error != (library->answer < 0 ? -library->answer : ERRNO_BEFORE))
		snprintf(why, sizeof(why), "answers %ld, but errno is %d", library->answer,
		         library->error);
	if (why[0] == '\0')
		slot->line[0] = '\0';
	else
		strcat(slot->line, why);
}

static inline void await_one(void)
{
	CHECK(wait(NULL) > 0);
	running--;
}

/* Makes both calls with the same arguments and compares; `what` and `how` name the case. */
static inline void compare(const char *what, const char *how, const struct function *f,
                           prepare_t context, prepare_t change)
{
	struct slot *slot;
	pid_t child;

	if (slots == NULL) {
		slots = mmap(NULL, MOST_CASES * sizeof(*slots), PROT_READ | PROT_WRITE,
		             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		CHECK(slots != MAP_FAILED);
		ready_fd = eventfd(1, 0);
		never_fd = eventfd(0, 0);
		CHECK(ready_fd >= 0 && never_fd >= 0);
	}
	CHECK(cases < MOST_CASES);
	slot = &slots[cases++];
	snprintf(slot->line, sizeof(slot->line) - 100, "io_%s, %s, %s: ", f->name, what, how);
	if (running == AT_ONCE)
		await_one();
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		run_case(slot, f, context, change);
		_exit(0);
	}
	running++;
}

/* The end of the test: prints the lines of what differs, and makes the exit status of them. */
static inline int verdict(int at_least)
{
	int differing = 0;

	while (running > 0)
		await_one();
	for (int i = 0; i < cases; i++)
		if (slots[i].line[0] != '\0') {
			puts(slots[i].line);
			differing++;
		}
	printf("%d of %d cases differ from the kernel\n", differing, cases);
	CHECK(cases >= at_least);
	return differing != 0;
}

#endif /* AGAINST_THE_KERNEL_H */
