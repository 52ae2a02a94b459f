/* Where the program has closed the descriptors of a context and has its own under their numbers, those are left
   alone: files are not written to, other contexts not touched, nothing is closed, and no call hangs. */
#define _GNU_SOURCE
#include "uring.h"

enum { FILES = 8, LAST = 100 };

static const char TEXT[] = "the program's own";

static void close_from(int first)
{
	for (int fd = first; fd < LAST; fd++)
		close(fd);
}

int main(void)
{
	struct timespec time = { 1, 0 };
	struct io_event event;
	struct iocb cb, *list[] = { &cb };
	io_context_t ctx = new_context(4), other;
	int ready = eventfd(1, 0), ends[2], notified, files[FILES];

	alarm(20); /* for the case that something hangs */
	use(ctx, ready);
	/* Another context gets the number. */
	close_from(3);
	other = new_context(4);
	ready = eventfd(1, 0);
	io_prep_poll(&cb, ready, POLLIN);
	CHECK(io_submit(ctx, 1, list) < 0);
	CHECK_EQ(io_destroy(ctx), 0);
	use(other, ready);
	CHECK_EQ(io_destroy(other), 0);

	/* Files get the numbers of what a request with an eventfd needs. */
	close_from(3);
	CHECK_EQ(pipe(ends), 0);
	notified = eventfd(0, 0);
	ctx = new_context(4);
	io_prep_poll(&cb, ends[0], POLLIN);
	io_set_eventfd(&cb, notified);
	submit(ctx, &cb);
	close_from(notified + 1);
	for (int i = 0; i < FILES; i++) {
		files[i] = new_file(0, 0);
		CHECK_EQ(write(files[i], TEXT, sizeof(TEXT)), sizeof(TEXT));
		CHECK_EQ(lseek(files[i], 0, SEEK_SET), 0);
	}
	CHECK_EQ(write(ends[1], "x", 1), 1);
	io_getevents(ctx, 1, 1, &event, &time);
	CHECK_EQ(io_destroy(ctx), 0);
	for (int i = 0; i < FILES; i++) {
		char read_back[sizeof(TEXT)];

		CHECK_EQ(lseek(files[i], 0, SEEK_CUR), 0);
		CHECK_EQ(read(files[i], read_back, sizeof(TEXT)), sizeof(TEXT));
		CHECK(memcmp(read_back, TEXT, sizeof(TEXT)) == 0);
	}
	return 0;
}
