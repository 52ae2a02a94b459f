/* Where there is no descriptor left for the io_uring that several threads share, they go on with the
 * one that there is. */
#include "uring.h"

#include <pthread.h>
#include <sys/resource.h>

static io_context_t ctx;

static void *comes(void *bell)
{
	use(ctx, *(int *)bell);
	return NULL;
}

int main(void)
{
	int always = eventfd(1, 0), late = eventfd(0, 0), last;
	struct rlimit limit;
	struct iocb cb;
	pthread_t thread;

	ctx = new_context(4);
	io_prep_poll(&cb, late, POLLIN);
	submit(ctx, &cb);
	last = dup(always);
	CHECK(last >= 0);
	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = (rlim_t)last + 1;
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
	CHECK_EQ(dup(always), -1);
	CHECK_EQ(pthread_create(&thread, NULL, comes, &always), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	use(ctx, always);
	CHECK_EQ(close(last), 0);
	use(ctx, always);
	CHECK_EQ(eventfd_write(late, 1), 0);
	CHECK(take(ctx, &cb) & POLLIN);
	CHECK_EQ(io_destroy(ctx), 0);
	return 0;
}
