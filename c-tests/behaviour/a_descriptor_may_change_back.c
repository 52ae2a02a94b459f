/* A descriptor is a file's, an empty pipe's, the file's again and the pipe's again, with requests of each
 * in flight or untaken: those of the pipe are EAGAIN, those of the file read it. */
#define _GNU_SOURCE
#include "check.h"

enum { REQUESTS = 6 };

int main(void)
{
	int fd = new_file(4096, 0), other = new_file(4096, 0), file = dup(fd), ends[2];
	io_context_t ctx = new_context(REQUESTS);
	char buf[REQUESTS][512];
	struct iocb cbs[REQUESTS];
	struct io_event events[REQUESTS];
	struct {
		int fd, source;
		long res;
	} steps[REQUESTS] = {
		{ fd, -1, -EAGAIN }, { other, -1, 512 },  { fd, -1, 512 },
		{ fd, -1, 512 },     { fd, -1, -EAGAIN }, { other, -1, 512 },
	};
	int taken = 0, i;

	CHECK(file >= 0);
	CHECK_EQ(pipe2(ends, O_NONBLOCK), 0);
	for (i = 0; i < 2; i++) {
		io_prep_pread(&cbs[0], i == 0 ? fd : other, buf[0], sizeof(buf[0]), 0);
		CHECK_EQ(run_one(ctx, &cbs[0]), 512);
		CHECK_EQ(run_one(ctx, &cbs[0]), 512);
	}
	steps[0].source = steps[4].source = ends[0];
	steps[2].source = file;
	for (i = 0; i < REQUESTS; i++) {
		struct iocb *list[] = { &cbs[i] };

		if (steps[i].source >= 0)
			CHECK_EQ(dup2(steps[i].source, fd), fd);
		io_prep_pread(&cbs[i], steps[i].fd, buf[i], sizeof(buf[i]), 0);
		CHECK_EQ(io_submit(ctx, 1, list), 1);
	}
	while (taken < REQUESTS) {
		int n = io_getevents(ctx, 1, REQUESTS, events, NULL);

		CHECK(n > 0);
		for (i = 0; i < n; i++)
			CHECK_EQ((long)events[i].res,
			         steps[(struct iocb *)events[i].obj - cbs].res);
		taken += n;
	}
	EXPECT("taken", taken, REQUESTS);
	CHECK_EQ(io_destroy(ctx), 0);
	return 0;
}
