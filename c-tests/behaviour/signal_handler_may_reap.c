/* A signal handler that takes events of the context that its own thread is reaping neither hangs
   nor makes an event come twice or get lost. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/time.h>

#define N 50

static io_context_t ctx;
static struct iocb cb[N];
static volatile int seen[N]; /* of the current round; main and handler never write one at a time */
static volatile sig_atomic_t runs, taken_by_handler;

static void note(const struct io_event *events, int n)
{
	for (int i = 0; i < n; i++)
		seen[events[i].obj - cb]++;
}

static void reap(int signal)
{
	struct timespec no_wait = { 0, 0 };
	struct io_event event;
	int before = errno, n = io_getevents(ctx, 0, 1, &event, &no_wait);

	(void)signal;
	CHECK(n >= 0);
	note(&event, n);
	taken_by_handler += n;
	runs++;
	errno = before;
}

static int all_seen(void)
{
	for (int i = 0; i < N; i++)
		if (seen[i] == 0)
			return 0;
	return 1;
}

int main(void)
{
	struct sigaction action = { .sa_handler = reap };
	struct itimerval tick = { { 0, 100 }, { 0, 100 } }, never = { { 0, 0 }, { 0, 0 } };
	struct timespec no_wait = { 0, 0 }, wait = { 0, 1000000 };
	struct io_event events[4];
	struct iocb *list[N];
	int ready = eventfd(1, 0);

	CHECK(ready >= 0);
	ctx = new_context(N);
	for (int i = 0; i < N; i++) {
		io_prep_poll(&cb[i], ready, POLLIN);
		list[i] = &cb[i];
	}
	CHECK_EQ(sigaction(SIGALRM, &action, NULL), 0);
	CHECK_EQ(setitimer(ITIMER_REAL, &tick, NULL), 0);
	for (int round = 0; round < 300 || taken_by_handler < 20; round++) {
		for (int submitted = 0; submitted < N;) {
			int n = io_submit(ctx, N - submitted, list + submitted);
			CHECK(n > 0);
			submitted += n;
		}
		while (!all_seen()) {
			int n = io_getevents(ctx, 1, 4, events, round % 2 ? &no_wait : &wait);
			CHECK(n >= 0 || n == -EINTR);
			note(events, n);
		}
		for (int i = 0; i < N; i++) {
			CHECK_EQ(seen[i], 1);
			seen[i] = 0;
		}
	}
	CHECK_EQ(setitimer(ITIMER_REAL, &never, NULL), 0);
	EXPECT("none left", io_getevents(ctx, 0, 4, events, &no_wait), 0);
	CHECK(runs > 0);
	return 0;
}
