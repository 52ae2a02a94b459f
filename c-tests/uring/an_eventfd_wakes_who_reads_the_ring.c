/* A program that is woken by an eventfd and then reads the ring by itself, as QEMU does, finds its
   events there; the magic number is not the kernel's, so that one which asks calls io_getevents. */
#define _GNU_SOURCE
#include "uring.h"

/* struct aio_ring of fs/aio.c */
struct ring {
	unsigned id, nr, head, tail, magic, compat_features, incompat_features, header_length;
	struct io_event events[];
};

enum { REQUESTS = 8, ROUNDS = 500 };

int main(void)
{
	/* The context after them: by that the library knows the program (src/uring/imports.rs). */
	int ready = eventfd(1, 0), notified = eventfd(0, 0);
	io_context_t ctx = new_context(REQUESTS);
	struct ring *ring = (struct ring *)ctx;
	struct iocb cbs[REQUESTS], *list[REQUESTS];

	CHECK(ring->magic != 0xa10a10a1 && ring->header_length == 32 && ring->nr > REQUESTS);
	CHECK_EQ(ring->head, ring->tail);
	/* More rounds than the ring has slots, so that it wraps. */
	for (int round = 0; round < ROUNDS; round++) {
		unsigned seen = 0;

		for (int i = 0; i < REQUESTS; i++) {
			io_prep_poll(&cbs[i], ready, POLLIN);
			io_set_eventfd(&cbs[i], notified);
			cbs[i].data = &cbs[i];
			list[i] = &cbs[i];
		}
		CHECK_EQ(io_submit(ctx, REQUESTS, list), REQUESTS);
		for (int taken = 0; taken < REQUESTS;) {
			uint64_t count;
			unsigned head, tail;

			CHECK_EQ(read(notified, &count, sizeof(count)), sizeof(count));
			head = ring->head;
			tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
			/* Every notification has its event there already. */
			CHECK((tail + ring->nr - head) % ring->nr >= count);
			for (; count > 0; count--, taken++) {
				const struct io_event *event = &ring->events[head];

				CHECK(event->data == event->obj && (long)event->res == POLLIN);
				seen |= 1u << (event->obj - cbs);
				head = (head + 1) % ring->nr;
			}
			__atomic_store_n(&ring->head, head, __ATOMIC_RELEASE);
		}
		CHECK_EQ(seen, (1u << REQUESTS) - 1);
	}
	CHECK_EQ(ring->head, ring->tail);
	CHECK_EQ(io_destroy(ctx), 0);
	return 0;
}
