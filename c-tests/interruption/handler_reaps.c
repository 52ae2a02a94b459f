/* A handler that reaps at any instruction of a reap on its own thread: each event comes once, in
   order for each of the two, and `head` never goes back. */
#define _GNU_SOURCE
#include "step.h"

#include <poll.h>
#include <sys/eventfd.h>

#define READY 5

static io_context_t ctx;
static struct iocb cb[READY];
static int seen[READY], inner_most, inner_answer;
static struct timespec no_wait;

static void note(const struct io_event *events, int n)
{
	CHECK(n >= 0);
	for (int i = 0; i < n; i++) {
		seen[events[i].obj - cb]++;
		CHECK(i == 0 || events[i].obj > events[i - 1].obj);
	}
}

static void handler(void)
{
	struct io_event events[READY];

	inner_answer = io_getevents(ctx, 0, inner_most, events, &no_wait);
	note(events, inner_answer);
}

/* One reap of up to `outer_most` events of `ready`, interrupted before instruction `at`. */
static int interrupted(int ready, int outer_most, int at)
{
	struct io_event events[READY];
	int answer, came_in;

	for (int i = 0; i < ready; i++) {
		struct iocb *one = &cb[i];
		CHECK_EQ(io_submit(ctx, 1, &one), 1);
		seen[i] = 0;
	}
	inner_answer = 0;
	STEPPING(at, handler, answer = io_getevents(ctx, 0, outer_most, events, &no_wait));
	came_in = step_came_in();
	note(events, answer);
	CHECK(answer <= outer_most && inner_answer <= inner_most);
	/* Neither leaves events to take where there are some that it has room for. */
	if (ready > outer_most + inner_most)
		CHECK_EQ(answer + inner_answer, came_in ? outer_most + inner_most : outer_most);
	note(events, io_getevents(ctx, 0, READY, events, &no_wait));
	for (int i = 0; i < ready; i++)
		CHECK_EQ(seen[i], 1);
	return came_in;
}

int main(void)
{
	int steps = 0, ready_fd = eventfd(1, 0);

	CHECK(ready_fd >= 0);
	ctx = new_context(1);
	for (int i = 0; i < READY; i++)
		io_prep_poll(&cb[i], ready_fd, POLLIN);
	step_prepare();
	for (int ready = 0; ready <= READY; ready += 1 + (ready > 1))
		for (int outer_most = 1; outer_most <= 3; outer_most += 2)
			for (inner_most = 1; inner_most <= 2; inner_most++) {
				int at = 0;
				while (interrupted(ready, outer_most, at))
					at += step_by();
				steps += at;
			}
	/* Fewer would mean that the processor was not stopped inside the library. */
	CHECK(steps > 16 * 30);
	return 0;
}
