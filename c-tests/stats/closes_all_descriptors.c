/* Closes every descriptor that is not its own, as daemons do, and opens a file in their place. It must
   stay empty. With an argument it began without stderr. */
#include "check.h"

#include <sys/stat.h>

int main(int argc, char **argv)
{
	io_context_t ctx = new_context(1);
	struct stat stat;
	char name[] = "own-XXXXXX";
	int own = -1, first = argc > 1 ? 2 : 3;

	(void)argv;
	/* The number of what the program does not have is none for the file. */
	CHECK_EQ(fcntl(2, F_GETFD), argc > 1 ? -1 : 0);
	for (int fd = first; fd < 64; fd++)
		close(fd);
	CHECK((own = mkstemp(name)) == first);
	/* Any number that the library may have had. */
	for (int fd = first + 1; fd < 64; fd++)
		CHECK_EQ(dup2(own, fd), fd);
	CHECK_EQ(io_destroy(ctx), 0);
	CHECK_EQ(fstat(own, &stat), 0);
	CHECK_EQ(stat.st_size, 0);
	CHECK_EQ(unlink(name), 0);
	return 0;
}
