/* Ends with stderr a pipe that nobody reads; with an argument it writes there itself, which kills it. */
#include "check.h"

int main(int argc, char **argv)
{
	int ends[2];

	(void)argv;
	CHECK_EQ(pipe(ends), 0);
	CHECK_EQ(dup2(ends[1], 2), 2);
	CHECK_EQ(close(ends[0]), 0);
	CHECK_EQ(close(ends[1]), 0);
	CHECK_EQ(io_destroy(new_context(1)), 0);
	if (argc > 1)
		(void)!write(2, "x", 1);
	return 0;
}
