/* A program that uses libaio with care, for runs in which things go wrong: it writes the blocks of a
   file, reads them back, and tells what it was answered.

     load [-d] [-c] [-e] [-q DEPTH] [-n BLOCKS] [-w block|poll|timeout] [-s MICROSECONDS] [-f] FILE

   -d  O_DIRECT
   -c  only read: an earlier run has written the file
   -e  each request adds to an eventfd, whose count must be right in the end
   -q  requests in flight, and the size of the context (8)
   -n  blocks of 4096 bytes (256)
   -w  how io_getevents is called: for one event and no limit; for what is there; with 2 ms
   -s  a signal at that rate, whose handler counts them
   -f  for ever: for those who will kill it. Tells `ready` once it is under way.

   io_submit's EAGAIN and EINTR, a part submitted, and io_getevents's EINTR are met with another
   try; they are counted. Each request carries its number: an event without a request, two for one,
   none for one, and read bytes that were not written are told as `wrong`, and make the exit status
   1. Status 3: a call failed that the program cannot go on without. */
#define _GNU_SOURCE
#include <libaio.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/time.h>
#include <unistd.h>

enum { BLOCK = 4096, MAX_DEPTH = 1024, MAX_ERRNO = 134 };
enum state { UNUSED, PENDING, DONE };

static io_context_t ctx;
static int fd, depth = 8, forever, notified = -1;
static long blocks = 256;
static const char *wait_how = "block";
static unsigned char *buffers;
static char *written; /* per block: whether it was written in full */
static char *states;  /* per block, of the pass that runs */

static long submit_errors[MAX_ERRNO], get_errors[MAX_ERRNO], submitted_in_part;
static long results[MAX_ERRNO], whole, in_part; /* of events: by error, full count, other counts */
static long wrong;
static volatile sig_atomic_t signals;

static void on_signal(int signal)
{
	(void)signal;
	signals++;
}

static int cannot_go_on(const char *what, int answer)
{
	printf("%s %s\n", what, strerrorname_np(-answer));
	fflush(stdout);
	_exit(3);
}

static unsigned char content(long block, int at)
{
	return (unsigned char)(block * 31 + at * 7 + at / 256);
}

static unsigned char *buffer_of(int slot)
{
	return buffers + (size_t)slot * BLOCK;
}

static void found_wrong(const char *what, long block)
{
	if (wrong++ < 10)
		printf("wrong: %s, block %ld\n", what, block);
}

static void take(const struct io_event *event, struct iocb *iocbs, int *slots, int *free_slots,
                 int writes)
{
	long block = (long)(intptr_t)event->data;
	int slot = (int)(event->obj - iocbs);
	if (block < 0 || block >= blocks || slot < 0 || slot >= depth) {
		found_wrong("an event of no request", block);
		return;
	}
	if (states[block] != PENDING)
		found_wrong("a second event", block);
	states[block] = DONE;
	slots[(*free_slots)++] = slot;
	long res = (long)event->res;
	if (res < 0) {
		results[-res < MAX_ERRNO ? -res : 0]++;
	} else if (res < BLOCK) {
		in_part++;
	} else {
		whole++;
		if (writes)
			written[block] = 1;
	}
	if (writes || res < 0 || !written[block])
		return;
	for (int at = 0; at < res; at++) {
		if (buffer_of(slot)[at] != content(block, at)) {
			found_wrong("read what was not written", block);
			break;
		}
	}
}

static int reap(struct io_event *events, int at_least)
{
	struct timespec zero = { 0, 0 }, short_time = { 0, 2000000 };
	int n;
	if (!strcmp(wait_how, "poll"))
		n = io_getevents(ctx, 0, depth, events, &zero);
	else if (!strcmp(wait_how, "timeout"))
		n = io_getevents(ctx, at_least, depth, events, &short_time);
	else
		n = io_getevents(ctx, at_least, depth, events, NULL);
	if (n < 0) {
		if (n != -EINTR)
			cannot_go_on("io_getevents", n);
		get_errors[-n]++;
		return 0;
	}
	return n;
}

/* Submits all of the list, however often it takes. */
static void submit(struct iocb **list, int nr)
{
	while (nr > 0) {
		int n = io_submit(ctx, nr, list);
		if (n < 0) {
			if (n != -EAGAIN && n != -EINTR)
				cannot_go_on("io_submit", n);
			submit_errors[-n]++;
			continue;
		}
		if (n < nr)
			submitted_in_part++;
		list += n;
		nr -= n;
	}
}

static void pass(int writes)
{
	static struct iocb iocbs[MAX_DEPTH], *list[MAX_DEPTH];
	static struct io_event events[MAX_DEPTH];
	int slots[MAX_DEPTH], free_slots = 0;
	for (int slot = 0; slot < depth; slot++)
		slots[free_slots++] = slot;
	memset(states, UNUSED, (size_t)blocks);

	for (long next = 0; next < blocks || free_slots < depth;) {
		int nr = 0;
		while (free_slots && next < blocks) {
			int slot = slots[--free_slots];
			struct iocb *cb = &iocbs[slot];
			if (writes) {
				for (int at = 0; at < BLOCK; at++)
					buffer_of(slot)[at] = content(next, at);
				io_prep_pwrite(cb, fd, buffer_of(slot), BLOCK, next * BLOCK);
			} else {
				memset(buffer_of(slot), 0xee, BLOCK);
				io_prep_pread(cb, fd, buffer_of(slot), BLOCK, next * BLOCK);
			}
			cb->data = (void *)(intptr_t)next;
			if (notified >= 0)
				io_set_eventfd(cb, notified);
			states[next++] = PENDING;
			list[nr++] = cb;
		}
		submit(list, nr);
		int n = reap(events, 1);
		for (int i = 0; i < n; i++)
			take(&events[i], iocbs, slots, &free_slots, writes);
	}
	for (long block = 0; block < blocks; block++)
		if (states[block] != DONE)
			found_wrong("no event", block);
}

/* Each event of both passes has added one, before or soon after it could be taken. */
static void check_notified(long passes)
{
	uint64_t sum = 0, more;
	while (sum < (uint64_t)(passes * blocks) &&
	       read(notified, &more, sizeof(more)) == sizeof(more))
		sum += more;
	if (sum != (uint64_t)(passes * blocks))
		found_wrong("the eventfd has counted otherwise", (long)sum);
}

static void tell(const char *what, const long *errors)
{
	for (int i = 0; i < MAX_ERRNO; i++)
		if (errors[i])
			printf("%s %s %ld\n", what, strerrorname_np(i), errors[i]);
}

static void tell_results(const char *what)
{
	printf("%s whole %ld\n", what, whole);
	if (in_part)
		printf("%s in part %ld\n", what, in_part);
	tell(what, results);
	memset(results, 0, sizeof(results));
	whole = in_part = 0;
}

static void start_signals(long microseconds)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct itimerval time = { .it_interval.tv_usec = microseconds,
		                  .it_value.tv_usec = microseconds };
	sigaction(SIGALRM, &action, NULL);
	if (setitimer(ITIMER_REAL, &time, NULL))
		cannot_go_on("setitimer", -errno);
}

int main(int argc, char **argv)
{
	int flags = O_RDWR | O_CREAT, only_reads = 0, option;
	long microseconds = 0;
	while ((option = getopt(argc, argv, "dceq:n:w:s:f")) != -1) {
		switch (option) {
		case 'd':
			flags |= O_DIRECT;
			break;
		case 'c':
			only_reads = 1;
			break;
		case 'e':
			notified = eventfd(0, 0);
			break;
		case 'q':
			depth = atoi(optarg);
			break;
		case 'n':
			blocks = atol(optarg);
			break;
		case 'w':
			wait_how = optarg;
			break;
		case 's':
			microseconds = atol(optarg);
			break;
		case 'f':
			forever = 1;
			break;
		default:
			return 2;
		}
	}
	if (optind != argc - 1 || depth < 1 || depth > MAX_DEPTH || blocks < 1)
		return 2;
	fd = open(argv[optind], flags, 0600);
	if (fd < 0)
		cannot_go_on("open", -errno);
	buffers = aligned_alloc(BLOCK, (size_t)depth * BLOCK);
	written = calloc((size_t)blocks, 1);
	states = calloc((size_t)blocks, 1);
	if (!buffers || !written || !states)
		cannot_go_on("memory", -ENOMEM);
	memset(written, only_reads, (size_t)blocks);

	errno = 0;
	int answer = io_setup(depth, &ctx);
	if (answer) {
		printf("context %s\n", ctx ? "was written" : "is as it was");
		cannot_go_on("io_setup", answer);
	}
	if (microseconds)
		start_signals(microseconds);
	do {
		if (!only_reads) {
			pass(1);
			tell_results("writes");
		}
		pass(0);
		tell_results("reads");
		if (forever) {
			puts("ready");
			fflush(stdout);
		}
	} while (forever);
	if (notified >= 0)
		check_notified(only_reads ? 1 : 2);
	answer = io_destroy(ctx);
	printf("io_destroy %d\n", answer);
	tell("io_submit", submit_errors);
	if (submitted_in_part)
		printf("io_submit in part %ld\n", submitted_in_part);
	tell("io_getevents", get_errors);
	if (microseconds)
		printf("signals handled %d\n", (int)signals);
	return wrong || answer ? 1 : 0;
}
