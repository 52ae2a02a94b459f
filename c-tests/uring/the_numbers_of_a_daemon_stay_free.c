/* Of a program that has closed 0, 1 and 2 the library takes none of these for its own: the program opens
 * them anew, or puts others over them, and goes on. */
#define _GNU_SOURCE
#include "uring.h"

static void are_free(void)
{
	for (int fd = 0; fd < 3; fd++)
		CHECK_EQ(fcntl(fd, F_GETFD), -1);
}

int main(void)
{
	int never = eventfd(0, 0), notified = eventfd(0, 0), fd = new_file(512, 0);
	FILE *elsewhere = fdopen(fcntl(2, F_DUPFD, 100), "w");
	struct iocb waits, reads;
	io_context_t ctx;
	eventfd_t count;
	char bytes[512];

	CHECK(elsewhere != NULL);
	stderr = elsewhere;
	for (int i = 0; i < 3; i++)
		CHECK_EQ(close(i), 0);
	ctx = new_context(4);
	are_free();
	/* Which takes one more for several threads, one for who waits, and one of the eventfd. */
	io_prep_poll(&waits, never, POLLIN);
	io_set_eventfd(&waits, notified);
	submit(ctx, &waits);
	are_free();
	for (int i = 0; i < 3; i++)
		CHECK_EQ(open("/dev/null", O_RDWR), i);
	io_prep_pread(&reads, fd, bytes, sizeof(bytes), 0);
	submit(ctx, &reads);
	CHECK_EQ(take(ctx, &reads), (long)sizeof(bytes));
	CHECK(is_file_data(bytes, sizeof(bytes), 0));
	CHECK_EQ(eventfd_write(never, 1), 0);
	CHECK(take(ctx, &waits) & POLLIN);
	CHECK_EQ(eventfd_read(notified, &count), 0);
	CHECK_EQ(count, 1);
	CHECK_EQ(io_destroy(ctx), 0);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(close(i), 0);
	return 0;
}
