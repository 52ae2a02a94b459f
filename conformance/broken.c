/* What the sanitizers must notice, in the library's own code: it puts events where the program says,

     broken overrun        and there is room for one of the two
     broken race           and another thread writes there meanwhile */
#include <libaio.h>

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

static io_context_t ctx;
static struct io_event *events;

static void submit_two(void)
{
	static int ready;
	static struct iocb first, second, *list[] = { &first, &second };
	if (!ready)
		ready = eventfd(1, 0);
	io_prep_poll(&first, ready, POLLIN);
	io_prep_poll(&second, ready, POLLIN);
	if (io_submit(ctx, 2, list) != 2)
		exit(2);
}

static void *reap_one(void *unused)
{
	if (io_getevents(ctx, 1, 1, events, NULL) != 1)
		exit(2);
	return unused;
}

int main(int argc, char **argv)
{
	events = malloc(sizeof(*events));
	if (argc != 2 || !events || io_setup(8, &ctx))
		return 2;
	submit_two();
	if (!strcmp(argv[1], "overrun"))
		return io_getevents(ctx, 2, 2, events, NULL) != 2;
	pthread_t reaper;
	if (pthread_create(&reaper, NULL, reap_one, NULL))
		return 2;
	events->res = 1;
	pthread_join(reaper, NULL);
	return 0;
}
