/* More contexts at a time than have counters of their own, with a request each. */
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>

enum { CONTEXTS = 1300 };

int main(void)
{
	static io_context_t contexts[CONTEXTS];
	struct iocb request;

	io_prep_poll(&request, eventfd(1, 0), POLLIN);
	for (int i = 0; i < CONTEXTS; i++)
		contexts[i] = new_context(1 + i % 2);
	for (int i = 0; i < CONTEXTS; i++)
		CHECK_EQ(run_one(contexts[i], &request), POLLIN);
	return 0;
}
