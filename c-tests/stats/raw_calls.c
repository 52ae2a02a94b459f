/* Contexts that the library does not know: made, used and destroyed by system call, or none at all. With an
   argument, those that it does not know any more: destroyed by system call. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static struct iocb request, other;

/* A list of one request, behind which there is no memory. */
static struct iocb **list_at_an_end(void)
{
	char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iocb **list;

	CHECK(pages != MAP_FAILED);
	CHECK_EQ(munmap(pages + 4096, 4096), 0);
	list = (struct iocb **)(pages + 4096) - 1;
	*list = &request;
	return list;
}

static void strangers(void)
{
	struct iocb **one = list_at_an_end(), *two[2] = { &request, &other };
	static char bytes[512];
	struct io_event events[2];
	io_context_t ctx = NULL;

	/* Nothing is read for a context that there is not. */
	CHECK_EQ(io_submit(NULL, 1000000, one), -EINVAL);
	CHECK_EQ(io_submit((io_context_t)bytes, 1000000, one), -EINVAL);

	CHECK_EQ(syscall(SYS_io_setup, 4, &ctx), 0);
	CHECK_EQ(io_submit(ctx, 1, one), 1);
	CHECK_EQ(io_getevents(ctx, 1, 2, events, NULL), 1);
	io_prep_pread(&other, new_file(512, 0), bytes, 512, 0);
	CHECK_EQ(io_submit(ctx, 2, two), 2);
	CHECK_EQ(syscall(SYS_io_getevents, ctx, 2, 2, events, NULL), 2);
	CHECK_EQ(syscall(SYS_io_destroy, ctx), 0);
	CHECK_EQ(io_submit(ctx, 1000000, one), -EINVAL);
}

/* The kernel gives the address out again, most often: then the first one's counters are where the second's
   are to be. */
static void gone(void)
{
	for (int n = 3; n >= 2; n--) {
		io_context_t ctx = new_context(n);

		for (int i = 0; i < n; i++)
			CHECK_EQ(run_one(ctx, &request), POLLIN);
		CHECK_EQ(syscall(SYS_io_destroy, ctx), 0);
	}
}

int main(int argc, char **argv)
{
	(void)argv;
	io_prep_poll(&request, eventfd(1, 0), POLLIN);
	if (argc > 1)
		gone();
	else
		strangers();
	return 0;
}
