/* A program may take events from the ring in memory, as fio, QEMU and SPDK do, and call the library
   for others of the same context. */
/* engines: kernel */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>

/* struct aio_ring of fs/aio.c */
struct ring {
	unsigned id, nr, head, tail, magic, compat_features, incompat_features, header_length;
	struct io_event events[];
};

static int reap(struct ring *ring, struct io_event *event)
{
	unsigned head = ring->head;

	if (head == __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE))
		return 0;
	*event = ring->events[head];
	__atomic_store_n(&ring->head, (head + 1) % ring->nr, __ATOMIC_RELEASE);
	return 1;
}

int main(void)
{
	io_context_t ctx = new_context(6);
	struct ring *ring = (struct ring *)ctx;
	int fd = eventfd(1, 0);
	struct iocb cb[6], *list[6];
	struct io_event events[6];
	struct timespec no_wait = { 0, 0 };

	CHECK(fd >= 0);
	CHECK_EQ(ring->magic, 0xa10a10a1);
	CHECK_EQ(ring->header_length, sizeof(struct ring));
	CHECK(ring->nr > 6);
	for (int i = 0; i < 6; i++) {
		io_prep_poll(&cb[i], fd, POLLIN);
		list[i] = &cb[i];
	}
	for (int round = 0; round < 1000; round++) {
		CHECK_EQ(io_submit(ctx, 6, list), 6);
		CHECK(reap(ring, events) == 1 && events[0].obj == &cb[0]);
		CHECK_EQ(io_getevents(ctx, 0, 2, events, &no_wait), 2);
		CHECK(events[0].obj == &cb[1] && events[1].obj == &cb[2]);
		CHECK(reap(ring, events) == 1 && events[0].obj == &cb[3]);
		CHECK_EQ(io_getevents(ctx, 1, 1, events, NULL), 1);
		CHECK(events[0].obj == &cb[4]);
		CHECK(reap(ring, events) == 1 && events[0].obj == &cb[5]);
		CHECK(reap(ring, events) == 0);
		CHECK_EQ(io_getevents(ctx, 0, 6, events, &no_wait), 0);
	}
	puts("each once");
	return 0;
}
