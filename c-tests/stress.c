/*
 * stress.c - every event exactly once, whatever goes on at the same time, on the real kernel
 *
 *   stress crew SUBMITTERS REAPERS FIRST_KIND TIMER_US FORKERS CHURNERS EVENTS REQUESTS
 *   stress destroy ROUNDS       contexts destroyed beside threads that reap and sleep
 *   stress slots ROUNDS         a small ring, filled and emptied: it must stay as large
 *   stress many CONTEXTS        more contexts than the library's table has places
 *
 * A request is on its way (in_flight 1) from just before io_submit until its event is taken, and is
 * submitted again only then. An event that comes twice, or not at all, or that nobody asked for, ends
 * the program with what it was. STRESS_INJECT=double or lose makes one go wrong on purpose, to see
 * that this is noticed. tests/stress.rs says which runs make check does.
 */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/time.h>
#include <sys/wait.h>

enum { SUBMITTERS = 4, SLOTS = 64, BATCH = 16, KINDS = 8, PATIENCE_S = 30 };

struct slot {
	struct iocb iocb; /* first: the obj of an event is its slot */
	atomic_int in_flight;
};

static struct slot slots[SUBMITTERS][SLOTS];
/* Wakes reapers that wait for more than there will be. */
static struct slot spare;
static atomic_int done, live;
static atomic_long delivered, by_handler, submitted, target;
static io_context_t ctx;
static int ready_fd;
static const char *inject;

static _Noreturn void fault(const char *what, long which)
{
	dprintf(STDERR_FILENO, "stress: %s (%ld)\n", what, which);
	_exit(1);
}

static void deliver(struct iocb *obj)
{
	struct slot *slot = (struct slot *)obj;

	if (slot == &spare) {
		if (atomic_exchange(&spare.in_flight, 0) != 1)
			fault("the spare event came twice", 0);
		return;
	}
	if (slot < &slots[0][0] || slot > &slots[SUBMITTERS - 1][SLOTS - 1])
		fault("an event of no request", 0);
	if (atomic_exchange(&slot->in_flight, 0) != 1)
		fault("an event came twice", slot - &slots[0][0]);
	atomic_fetch_add(&delivered, 1);
}

static void callback(io_context_t context, struct iocb *iocb, long res, long res2)
{
	if (context != ctx || !(res & POLLIN) || res2 != 0)
		fault("a callback with wrong arguments", res);
	deliver(iocb);
}

static void deliver_all(const struct io_event *events, int n)
{
	io_callback_t cb = callback;

	for (int i = 0; i < n; i++) {
		if (memcmp(&events[i].data, &cb, sizeof(cb)) != 0 || events[i].res2 != 0)
			fault("an event with wrong members", i);
		if (inject != NULL && atomic_load(&delivered) > 1000) {
			int lose = strcmp(inject, "lose") == 0;

			inject = NULL;
			if (lose)
				continue;
			deliver(events[i].obj);
		}
		deliver(events[i].obj);
	}
}

static void prepare(struct slot *slot)
{
	io_prep_poll(&slot->iocb, ready_fd, POLLIN);
	io_set_callback(&slot->iocb, callback);
	atomic_store(&slot->in_flight, 1);
}

static void *submitter(void *mine)
{
	struct slot *own = mine;
	struct iocb *list[BATCH];

	while (atomic_load(&submitted) < atomic_load(&target)) {
		int n = 0, in;

		for (int i = 0; i < SLOTS && n < BATCH; i++)
			if (atomic_load(&own[i].in_flight) == 0) {
				prepare(&own[i]);
				list[n++] = &own[i].iocb;
			}
		in = n > 0 ? io_submit(ctx, n, list) : 0;
		if (in < 0 && in != -EAGAIN)
			fault("io_submit", in);
		for (int i = in < 0 ? 0 : in; i < n; i++)
			atomic_store(&((struct slot *)list[i])->in_flight, 0);
		if (in > 0)
			atomic_fetch_add(&submitted, in);
		else
			sched_yield();
	}
	return NULL;
}

/* One call of a kind; the events that it took are delivered. */
static int reap(long kind)
{
	struct timespec zero = { 0, 0 }, ms = { 0, 1000000 };
	struct io_event events[64];
	sigset_t none;
	int n;

	sigemptyset(&none);
	switch (kind % KINDS) {
	case 0:
		n = io_getevents(ctx, 0, 64, events, NULL);
		break;
	case 1:
		n = io_getevents(ctx, 1, 8, events, NULL);
		break;
	case 2:
		n = io_getevents(ctx, 4, 64, events, &ms);
		break;
	case 3:
		n = io_pgetevents(ctx, 1, 16, events, &ms, &none);
		break;
	case 4:
		return io_queue_run(ctx);
	case 5:
		n = io_getevents(ctx, 1, 1, events, &zero);
		break;
	case 6:
		n = io_pgetevents(ctx, 1, 3, events, NULL, NULL);
		break;
	default:
		n = io_getevents(ctx, 2, 5, events, &zero);
	}
	if (n > 0)
		deliver_all(events, n);
	return n;
}

static void *reaper(void *kind)
{
	while (!atomic_load(&done)) {
		int n = reap((long)kind);

		if (n < 0 && n != -EINTR)
			fault("a reap", n);
	}
	atomic_fetch_sub(&live, 1);
	return NULL;
}

static void on_alarm(int unused)
{
	struct timespec zero = { 0, 0 }, brief = { 0, 20000 };
	static atomic_uint turn;
	struct io_event events[8];
	int saved = errno, n;

	(void)unused;
	switch (atomic_fetch_add(&turn, 1) % 4) {
	case 0:
		n = io_getevents(ctx, 1, 8, events, &zero);
		break;
	case 1:
		n = io_getevents(ctx, 1, 8, events, &brief);
		break;
	default:
		n = io_getevents(ctx, 0, 8, events, NULL);
	}
	if (n < 0 && n != -EINTR)
		fault("a reap in a signal handler", n);
	if (n > 0) {
		deliver_all(events, n);
		atomic_fetch_add(&by_handler, n);
	}
	errno = saved;
}

/* Says why a context of its own did not give each of its events once; NULL where it did. */
static const char *use_own_context(int rounds, long *detail)
{
	struct iocb iocbs[20], *list[20];
	struct io_event events[20];
	io_context_t own = NULL;

	*detail = io_setup(20, &own);
	if (*detail == -EAGAIN)
		return NULL; /* the machine's limit: others have contexts too */
	if (*detail != 0)
		return "io_setup beside";
	for (int i = 0; i < 20; i++)
		list[i] = &iocbs[i];
	for (int round = 0; round < rounds; round++) {
		unsigned seen = 0;
		int got = 0;

		for (int i = 0; i < 20; i++)
			io_prep_poll(&iocbs[i], ready_fd, POLLIN);
		*detail = io_submit(own, 20, list);
		if (*detail != 20)
			return "io_submit beside";
		while (got < 20) {
			*detail = io_getevents(own, 1, 7, events, NULL);
			if (*detail == -EINTR)
				continue;
			if (*detail < 1)
				return "io_getevents beside";
			for (int i = 0; i < *detail; i++)
				seen |= 1u << (events[i].obj - iocbs);
			got += (int)*detail;
		}
		*detail = got;
		if (got != 20 || seen != 0xfffff)
			return "events beside";
		/* Where the kernel answers, a signal makes it EINTR, waiting or not. */
		do
			*detail = io_getevents(own, 0, 7, events, NULL);
		while (*detail == -EINTR);
		if (*detail != 0)
			return "more events beside";
	}
	*detail = io_destroy(own);
	return *detail == 0 ? NULL : "io_destroy beside";
}

static void *churner(void *unused)
{
	while (!atomic_load(&done)) {
		long detail;
		const char *wrong = use_own_context(10, &detail);

		if (wrong != NULL)
			fault(wrong, detail);
	}
	return unused;
}

/* The child of a fork has none of its parent's contexts, and can have its own. */
static void *forker(void *unused)
{
	while (!atomic_load(&done)) {
		struct timespec zero = { 0, 0 };
		struct io_event event;
		int status;
		pid_t child = fork();

		if (child == 0) {
			signal(SIGALRM, SIG_IGN);
			if (io_getevents(ctx, 0, 1, &event, NULL) != -EINVAL ||
			    io_getevents(ctx, 1, 1, &event, &zero) != -EINVAL ||
			    io_queue_run(ctx) != -EINVAL)
				_exit(2);
			long detail;
			_exit(use_own_context(3, &detail) == NULL ? 0 : 3);
		}
		if (child < 0)
			fault("fork", errno);
		while (waitpid(child, &status, 0) != child)
			CHECK(errno == EINTR);
		if (status != 0)
			fault("a child", status);
	}
	return unused;
}

static void submit_spare(void)
{
	struct iocb *list[1] = { &spare.iocb };

	if (atomic_load(&spare.in_flight) == 0) {
		prepare(&spare);
		if (io_submit(ctx, 1, list) != 1)
			atomic_store(&spare.in_flight, 0);
	}
}

static int crew(char **arguments)
{
	int submitters = atoi(arguments[0]), reapers = atoi(arguments[1]),
	    timer = atoi(arguments[3]);
	long first = atol(arguments[2]);
	int forkers = atoi(arguments[4]), churners = atoi(arguments[5]), count = 0;
	pthread_t submitting[SUBMITTERS], others[64];
	struct itimerval interval = { { 0, timer }, { 0, timer } }, off = { { 0, 0 }, { 0, 0 } };
	time_t start;
	int n;

	CHECK(submitters <= SUBMITTERS && reapers + forkers + churners <= 64);
	atomic_store(&target, atol(arguments[6]));
	ctx = new_context(atoi(arguments[7]));
	if (timer > 0) {
		struct sigaction action = { .sa_handler = on_alarm };

		CHECK_EQ(sigaction(SIGALRM, &action, NULL), 0);
		CHECK_EQ(setitimer(ITIMER_REAL, &interval, NULL), 0);
	}
	atomic_store(&live, reapers);
	for (int i = 0; i < reapers; i++)
		CHECK_EQ(pthread_create(&others[count++], NULL, reaper, (void *)(first + i)), 0);
	for (int i = 0; i < forkers; i++)
		CHECK_EQ(pthread_create(&others[count++], NULL, forker, NULL), 0);
	for (int i = 0; i < churners; i++)
		CHECK_EQ(pthread_create(&others[count++], NULL, churner, NULL), 0);
	for (int i = 0; i < submitters; i++)
		CHECK_EQ(pthread_create(&submitting[i], NULL, submitter, slots[i]), 0);
	for (int i = 0; i < submitters; i++)
		CHECK_EQ(pthread_join(submitting[i], NULL), 0);
	start = time(NULL);
	while (atomic_load(&delivered) < atomic_load(&submitted)) {
		submit_spare();
		sched_yield();
		if (time(NULL) - start > PATIENCE_S)
			fault("events were lost", submitted - delivered);
	}
	atomic_store(&done, 1);
	while (atomic_load(&live) > 0) {
		submit_spare();
		sched_yield();
		if (time(NULL) - start > 2 * PATIENCE_S)
			fault("a reaper hangs", live);
	}
	CHECK_EQ(setitimer(ITIMER_REAL, &off, NULL), 0);
	for (int i = 0; i < count; i++)
		CHECK_EQ(pthread_join(others[i], NULL), 0);
	while ((n = reap(0)) > 0)
		;
	CHECK_EQ(n, 0);
	CHECK_EQ(delivered, submitted);
	printf("%ld events, %ld by a signal handler\n", delivered, by_handler);
	return io_destroy(ctx);
}

/* Reaps until its context is gone. */
static void *reap_to_the_end(void *kind)
{
	int n;

	do
		n = reap((long)kind);
	while (n >= 0 || n == -EINTR);
	if (n != -EINVAL)
		fault("a reap of a context that is being destroyed", n);
	atomic_fetch_sub(&live, 1);
	return NULL;
}

static int destroy(long rounds)
{
	for (long round = 0; round < rounds; round++) {
		pthread_t threads[KINDS];
		struct iocb *list[SLOTS];

		ctx = new_context(SLOTS);
		atomic_store(&live, KINDS);
		for (long kind = 0; kind < KINDS; kind++)
			CHECK_EQ(
				pthread_create(&threads[kind], NULL, reap_to_the_end, (void *)kind),
				0);
		for (int i = 0; i < SLOTS; i++) {
			prepare(&slots[0][i]);
			list[i] = &slots[0][i].iocb;
		}
		CHECK_EQ(io_submit(ctx, SLOTS, list), SLOTS);
		CHECK_EQ(io_destroy(ctx), 0);
		for (int i = 0; i < KINDS; i++)
			CHECK_EQ(pthread_join(threads[i], NULL), 0);
		CHECK_EQ(io_destroy(ctx), -EINVAL);
		for (int i = 0; i < SLOTS; i++)
			atomic_store(&slots[0][i].in_flight, 0);
	}
	printf("%ld contexts destroyed, %ld events before that\n", rounds, delivered);
	return 0;
}

static int slots_stay(long rounds)
{
	static struct slot mine[1024];
	struct io_event events[64];
	cpu_set_t one;
	int fits = -1;

	/* The kernel keeps free slots for each processor: on one they can all be had. */
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	CHECK_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
	ctx = new_context(4);
	for (long round = 0; round < rounds; round++) {
		int in = 0, out = 0;

		for (; in < 1024; in++) {
			struct iocb *list[1] = { &mine[in].iocb };

			prepare(&mine[in]);
			if (io_submit(ctx, 1, list) != 1)
				break;
		}
		while (out < in) {
			int n = io_getevents(ctx, 1, 1 + (out + round) % 64, events, NULL);

			CHECK(n >= 1);
			for (int i = 0; i < n; i++)
				CHECK(events[i].obj == &mine[out + i].iocb);
			out += n;
		}
		CHECK_EQ(io_getevents(ctx, 0, 1, events, NULL), 0);
		/* The first rounds learn what this processor can hold. */
		if (round >= 10 && in != fits)
			fault("another number of requests fits", in);
		fits = in;
	}
	printf("%ld rounds of %d requests\n", rounds, fits);
	return io_destroy(ctx);
}

static int many(long wanted)
{
	io_context_t *contexts = calloc((size_t)wanted, sizeof(*contexts));
	struct iocb iocb, *list[1] = { &iocb };
	struct io_event event;
	long n = 0;

	CHECK(contexts != NULL);
	while (n < wanted && io_setup(1, &contexts[n]) == 0)
		n++;
	if (n <= 1024)
		fault("fs.aio-max-nr leaves no room for more contexts than places", n);
	for (int pass = 0; pass < 10; pass++)
		for (long i = 0; i < n; i++) {
			io_prep_poll(&iocb, ready_fd, POLLIN);
			iocb.data = &contexts[i];
			CHECK_EQ(io_submit(contexts[i], 1, list), 1);
			CHECK_EQ(io_getevents(contexts[i], 1, 1, &event, NULL), 1);
			CHECK(event.data == &contexts[i]);
			CHECK_EQ(io_getevents(contexts[i], 0, 1, &event, NULL), 0);
		}
	/* Some, since each takes the kernel tens of milliseconds; the others end with the process. */
	for (long i = 0; i < n; i += n / 16) {
		CHECK_EQ(io_destroy(contexts[i]), 0);
		CHECK_EQ(io_getevents(contexts[i], 0, 1, &event, NULL), -EINVAL);
	}
	printf("%ld contexts, %ld events\n", n, 10 * n);
	free(contexts);
	return 0;
}

int main(int argc, char **argv)
{
	ready_fd = eventfd(1, 0);
	inject = getenv("STRESS_INJECT");
	if (argc == 10 && strcmp(argv[1], "crew") == 0)
		return crew(argv + 2);
	if (argc == 3 && strcmp(argv[1], "destroy") == 0)
		return destroy(atol(argv[2]));
	if (argc == 3 && strcmp(argv[1], "slots") == 0)
		return slots_stay(atol(argv[2]));
	if (argc == 3 && strcmp(argv[1], "many") == 0)
		return many(atol(argv[2]));
	fputs("usage: see the first lines of stress.c\n", stderr);
	return 2;
}
