/*
 * bare.c - 4 KiB reads or writes through libaio, or through an io_uring with nothing in between
 *
 * bare libaio|io_uring reads|overwrites|extends FILE DEPTH SECONDS [PROCESSOR]
 *
 * Keeps DEPTH requests in flight, one submitted by each call, and takes completions as they come: what fio
 * does, with no more of its own than must be. The io_uring is one that any thread could wait on
 * (IORING_SETUP_COOP_TASKRUN), as a context of libaio's must be, and is asked for no more than that. So
 * the difference between the two ways is the library, and what io_uring gives without one is the most
 * that a libaio on io_uring can.
 *
 * With a PROCESSOR the requests are O_DIRECT and made there; else they are buffered. Each block of the file is
 * read or overwritten once, before any is again; writes that extend it begin at its end. Beside writes another
 * thread writes 4 KiB to the file's start and calls fdatasync, again and again.
 *
 * Prints as JSON: requests per second, the 99th percentile of the call that submits, in nanoseconds, and the
 * number of requests.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <libaio.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 4096, MOST = 64, SLOTS = 100000, SLOT_NS = 10 };

static enum { READS, OVERWRITES, EXTENDS } what;
static int file;
static unsigned long blocks;
static char *buffers;
/* How many calls took so long, by tens of nanoseconds. */
static unsigned long took[SLOTS];

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static unsigned long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (unsigned long)now.tv_sec * 1000000000 + (unsigned long)now.tv_nsec;
}

static void note(unsigned long start)
{
	unsigned long slot = (now_ns() - start) / SLOT_NS;

	took[slot < SLOTS ? slot : SLOTS - 1]++;
}

/* Every block once, each far from the one before (Knuth's multiplier, a prime); or those after the end. */
static long long next_offset(void)
{
	static unsigned long n;

	if (what == EXTENDS)
		return (long long)(blocks + n++) * BLOCK;
	return (long long)(n++ * 2654435761UL % blocks) * BLOCK;
}

/* ---- the two ways ----------------------------------------------------------------------------- */

static io_context_t ctx;
static struct iocb requests[MOST];

static void prepare_libaio(int depth)
{
	if (io_setup(depth, &ctx) != 0)
		fail("io_setup");
}

static void submit_to_libaio(int i)
{
	struct iocb *request = &requests[i];

	if (what == READS)
		io_prep_pread(request, file, buffers + i * BLOCK, BLOCK, next_offset());
	else
		io_prep_pwrite(request, file, buffers + i * BLOCK, BLOCK, next_offset());
	request->data = (void *)(long)i;
	if (io_submit(ctx, 1, &request) != 1)
		fail("io_submit");
}

static int take_from_libaio(int *done)
{
	struct io_event events[MOST];
	int n = io_getevents(ctx, 1, MOST, events, NULL);

	if (n < 1)
		fail("io_getevents");
	for (int i = 0; i < n; i++) {
		if (events[i].res != BLOCK)
			fail("a request");
		done[i] = (int)(long)events[i].data;
	}
	return n;
}

static int ring, entries;
static struct io_uring_sqe *sqes;
static struct io_uring_cqe *cqes;
static unsigned *sq_tail, *cq_head, *cq_tail, cq_mask;

static void prepare_io_uring(int depth)
{
	struct io_uring_params p = { .flags = IORING_SETUP_COOP_TASKRUN };
	char *rings;
	size_t size;

	(void)depth;
	ring = (int)syscall(SYS_io_uring_setup, MOST, &p);
	if (ring < 0)
		fail("io_uring_setup");
	size = p.cq_off.cqes + p.cq_entries * sizeof(*cqes);
	if (size < p.sq_off.array + p.sq_entries * sizeof(unsigned))
		size = p.sq_off.array + p.sq_entries * sizeof(unsigned);
	rings = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	sqes = mmap(NULL, p.sq_entries * sizeof(*sqes), PROT_READ | PROT_WRITE, MAP_SHARED, ring,
	            IORING_OFF_SQES);
	if (rings == MAP_FAILED || (void *)sqes == MAP_FAILED)
		fail("mmap");
	entries = (int)p.sq_entries;
	for (int i = 0; i < entries; i++)
		((unsigned *)(rings + p.sq_off.array))[i] = (unsigned)i;
	sq_tail = (unsigned *)(rings + p.sq_off.tail);
	cq_head = (unsigned *)(rings + p.cq_off.head);
	cq_tail = (unsigned *)(rings + p.cq_off.tail);
	cq_mask = p.cq_entries - 1;
	cqes = (struct io_uring_cqe *)(rings + p.cq_off.cqes);
}

static void submit_to_io_uring(int i)
{
	unsigned tail = *sq_tail;
	struct io_uring_sqe *sqe = &sqes[tail & (unsigned)(entries - 1)];

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = what == READS ? IORING_OP_READ : IORING_OP_WRITE;
	sqe->fd = file;
	sqe->addr = (unsigned long)(buffers + i * BLOCK);
	sqe->len = BLOCK;
	sqe->off = (unsigned long long)next_offset();
	sqe->user_data = (unsigned long long)i;
	__atomic_store_n(sq_tail, tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring, 1, 0, 0, NULL, 0) != 1)
		fail("io_uring_enter");
}

static int take_from_io_uring(int *done)
{
	unsigned head = *cq_head, tail;
	int n = 0;

	while ((tail = __atomic_load_n(cq_tail, __ATOMIC_ACQUIRE)) == head)
		if (syscall(SYS_io_uring_enter, ring, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
			fail("io_uring_enter");
	while (head != tail && n < MOST) {
		struct io_uring_cqe *cqe = &cqes[head++ & cq_mask];

		if (cqe->res != BLOCK)
			fail("a request");
		done[n++] = (int)cqe->user_data;
	}
	__atomic_store_n(cq_head, head, __ATOMIC_RELEASE);
	return n;
}

/* ---- the loop --------------------------------------------------------------------------------- */

static const struct way {
	const char *name;
	void (*prepare)(int depth);
	void (*submit)(int i);
	int (*take)(int *done);
} WAYS[] = {
	{ "libaio", prepare_libaio, submit_to_libaio, take_from_libaio },
	{ "io_uring", prepare_io_uring, submit_to_io_uring, take_from_io_uring },
};

static void *syncs(void *unused)
{
	static char bytes[BLOCK];

	(void)unused;
	for (;;)
		if (pwrite(file, bytes, BLOCK, 0) != BLOCK || fdatasync(file) != 0)
			fail("fdatasync");
	return NULL;
}

static unsigned long p99_ns(unsigned long calls)
{
	unsigned long so_far = 0, slot = 0;

	while (slot < SLOTS - 1 && (so_far += took[slot]) * 100 < calls * 99)
		slot++;
	return slot * SLOT_NS;
}

static void run(const struct way *way, int depth, unsigned long ns)
{
	unsigned long start = now_ns(), end = start, requests = 0;
	int done[MOST];

	for (int i = 0; i < depth; i++)
		way->submit(i);
	while (end - start < ns) {
		int n = way->take(done);

		for (int i = 0; i < n; i++) {
			unsigned long before = now_ns();

			way->submit(done[i]);
			note(before);
		}
		requests += (unsigned long)n;
		end = now_ns();
	}
	printf("{\"iops\": %.0f, \"p99_ns\": %lu, \"requests\": %lu}\n",
	       (double)requests * 1e9 / (double)(end - start), p99_ns(requests), requests);
}

static int usage(void)
{
	fprintf(stderr, "usage: bare libaio|io_uring reads|overwrites|extends FILE DEPTH SECONDS"
	                " [PROCESSOR]\n");
	return 2;
}

static void stay_on(size_t processor)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(processor, &one);
	if (sched_setaffinity(0, sizeof(one), &one) != 0)
		fail("sched_setaffinity");
}

int main(int argc, char **argv)
{
	static const char *const WHATS[] = { "reads", "overwrites", "extends" };
	const struct way *way;
	pthread_t thread;
	int depth, n = 0;

	if (argc < 6 || (depth = atoi(argv[4])) < 1 || depth > MOST)
		return usage();
	way = &WAYS[strcmp(argv[1], "io_uring") == 0];
	while (n < 3 && strcmp(argv[2], WHATS[n]) != 0)
		n++;
	if (n == 3 || strcmp(argv[1], way->name) != 0)
		return usage();
	what = n;
	if (argc > 6)
		stay_on((size_t)atoi(argv[6]));
	file = open(argv[3], (what == READS ? O_RDONLY : O_RDWR) | (argc > 6 ? O_DIRECT : 0));
	if (file < 0)
		fail(argv[3]);
	blocks = (unsigned long)lseek(file, 0, SEEK_END) / BLOCK;
	if (argc == 6 && posix_fadvise(file, 0, 0, POSIX_FADV_RANDOM) != 0)
		fail("posix_fadvise");
	buffers = aligned_alloc(BLOCK, (size_t)depth * BLOCK);
	if (buffers == NULL)
		fail("aligned_alloc");
	memset(buffers, 'x', (size_t)depth * BLOCK);
	if (what != READS && pthread_create(&thread, NULL, syncs, NULL) != 0)
		fail("pthread_create");
	way->prepare(depth);
	run(way, depth, strtoul(argv[5], NULL, 10) * 1000000000);
	return 0; /* which ends the other thread */
}
