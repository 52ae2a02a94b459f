/* io_setup knows no fs.aio-max-nr: more requests than it allows, and as many contexts as there are
   descriptors; then -EAGAIN, and where there is no memory -ENOMEM. What there is goes on working. */
#define _GNU_SOURCE
#include "uring.h"

#include <sys/resource.h>

enum { MOST = 400 };

static io_context_t contexts[MOST];

static long aio_limit(const char *name)
{
	FILE *f = fopen(name, "r");
	long n;

	CHECK(f != NULL && fscanf(f, "%ld", &n) == 1);
	CHECK_EQ(fclose(f), 0);
	return n;
}

static void works(io_context_t ctx)
{
	struct iocb cb;

	io_prep_poll(&cb, 1, POLLOUT);
	submit(ctx, &cb);
	CHECK(take(ctx, &cb) & POLLOUT);
}

int main(void)
{
	struct rlimit descriptors = { 200, 200 }, memory;
	long limit = aio_limit("/proc/sys/fs/aio-max-nr"), in_use;
	io_context_t ctx = NULL;
	int n = 0, answer;

	in_use = aio_limit("/proc/sys/fs/aio-nr");
	CHECK_EQ(io_setup((int)limit + 1, &ctx), 0);
	works(ctx);
	CHECK(aio_limit("/proc/sys/fs/aio-nr") <= in_use + limit);
	CHECK_EQ(io_destroy(ctx), 0);

	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &descriptors), 0);
	while ((answer = io_setup(1, &contexts[n])) == 0 && n < MOST - 1)
		n++;
	CHECK_EQ(answer, -EAGAIN);
	CHECK(n > 180 && contexts[n] == NULL);
	for (int i = 0; i < n; i++)
		works(contexts[i]);
	CHECK_EQ(io_destroy(contexts[0]), 0);
	contexts[0] = NULL;
	CHECK_EQ(io_setup(1, &contexts[0]), 0);

	for (int i = 0; i < n; i += 2) {
		CHECK_EQ(io_destroy(contexts[i]), 0);
		contexts[i] = NULL;
	}
	memory.rlim_cur = memory.rlim_max = 1 << 20; /* less than there is already */
	CHECK_EQ(setrlimit(RLIMIT_AS, &memory), 0);
	answer = io_setup(100000, &contexts[0]);
	CHECK(answer == -ENOMEM && contexts[0] == NULL);
	works(contexts[1]);
	return 0;
}
