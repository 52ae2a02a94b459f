/* Under memcheck: the bytes of a read and the fields of its event are known to be filled, whichever
   call took it. */
#define _GNU_SOURCE
#include "check.h"

int main(void)
{
	struct timespec zero = { 0, 0 };
	io_context_t ctx = new_context(4);
	int fd = open("/proc/self/exe", O_RDONLY);

	CHECK(fd >= 0);
	for (int how = 0; how < 3; how++) {
		struct io_event *event = (struct io_event *)malloc(sizeof(*event));
		char *bytes = (char *)malloc(64);
		struct iocb *request = (struct iocb *)malloc(sizeof(*request));
		int taken = 0;

		CHECK(event != NULL && bytes != NULL && request != NULL);
		io_prep_pread(request, fd, bytes, 64, 0);
		CHECK_EQ(io_submit(ctx, 1, &request), 1);
		while (taken == 0)
			taken = how == 0   ? io_getevents(ctx, 1, 1, event, NULL)
			        : how == 1 ? io_getevents(ctx, 0, 1, event, NULL)
			                   : io_getevents(ctx, 1, 1, event, &zero);
		CHECK_EQ(event->res, 64);
		CHECK(memcmp(bytes, "\177ELF", 4) == 0);
		free(request);
		free(bytes);
		free(event);
	}
	CHECK_EQ(io_destroy(ctx), 0);
	CHECK_EQ(close(fd), 0);
	return 0;
}
