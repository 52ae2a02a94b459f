/* An object to be loaded, with the library linked in: reads by a context that it makes and destroys; or writes, and
   destroys the context by another function. */
#define _GNU_SOURCE
#include "uring.h"

void uses_a_context(void), begins(void), finishes(void);

void uses_a_context(void)
{
	io_context_t ctx = new_context(1);
	char bytes[64];
	struct iocb cb;
	int fd = open("/proc/self/exe", O_RDONLY);

	CHECK(fd >= 0);
	io_prep_pread(&cb, fd, bytes, sizeof(bytes), 0);
	CHECK_EQ(run_one(ctx, &cb), sizeof(bytes));
	CHECK_EQ(close(fd), 0);
	CHECK_EQ(io_destroy(ctx), 0);
}

enum { SIZE = 1 << 22 };

static io_context_t writes;
static struct iocb write_of_all;
static char *all;
static int to;

void begins(void)
{
	to = new_file(0, O_DSYNC);
	all = calloc(1, SIZE);
	CHECK(all != NULL);
	writes = new_context(1);
	io_prep_pwrite(&write_of_all, to, all, SIZE, 0);
	submit(writes, &write_of_all);
}

void finishes(void)
{
	CHECK_EQ(take(writes, &write_of_all), SIZE);
	CHECK_EQ(io_destroy(writes), 0);
	CHECK_EQ(close(to), 0);
	free(all);
}
