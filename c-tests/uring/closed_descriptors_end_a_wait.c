/* Where the program has closed the context's descriptor, a wait ends with an error, whichever way it
 * sleeps. */
#define _GNU_SOURCE
#include "uring.h"

#include <signal.h>

int main(void)
{
	io_context_t ctx = new_context(4);
	struct io_event event;
	sigset_t none;

	CHECK_EQ(sigemptyset(&none), 0);
	for (int fd = 3; fd < 100; fd++)
		close(fd);
	CHECK(io_getevents(ctx, 1, 1, &event, NULL) < 0);
	CHECK(io_pgetevents(ctx, 1, 1, &event, NULL, &none) < 0);
	return 0;
}
