/* With stderr a pipe that is full, and nobody reads it, one context is destroyed and a hundred are left. With an
   argument somebody reads it before the end, and copies it to stdout. */
#include "check.h"

int main(int argc, char **argv)
{
	static char bytes[1 << 20];
	int ends[2];
	ssize_t n;

	(void)argv;
	CHECK_EQ(pipe(ends), 0);
	CHECK_EQ(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
	CHECK(write(ends[1], bytes, sizeof(bytes)) > 0);
	CHECK_EQ(write(ends[1], bytes, 1), -1);
	CHECK_EQ(errno, EAGAIN);
	CHECK_EQ(fcntl(ends[1], F_SETFL, 0), 0);
	CHECK_EQ(dup2(ends[1], 2), 2);
	CHECK_EQ(io_destroy(new_context(1)), 0);
	if (argc > 1) {
		/* What was lost stays lost; then there is room again. */
		CHECK(read(ends[0], bytes, sizeof(bytes)) > 0);
		CHECK_EQ(io_destroy(new_context(2)), 0);
		n = read(ends[0], bytes, sizeof(bytes));
		CHECK(n > 0);
		CHECK_EQ(write(1, bytes, (size_t)n), n);
		return 0;
	}
	for (int i = 0; i < 100; i++)
		new_context(1);
	return 0;
}
