/* Closes stderr and opens a file, which gets its number, as in a daemon: one to read and write; with an
   argument one that is for appending, as a log is. */
#include "check.h"

int main(int argc, char **argv)
{
	io_context_t ctx = NULL;

	(void)argv;
	if (close(2) != 0 || open("file", O_RDWR | O_CREAT | (argc > 1 ? O_APPEND : 0), 0600) != 2)
		return 2;
	/* No macro that writes to stderr. */
	return io_setup(1, &ctx) == 0 && io_destroy(ctx) == 0 ? 0 : 1;
}
