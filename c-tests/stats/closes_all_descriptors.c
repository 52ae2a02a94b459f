/* Closes every descriptor that is not its own, as daemons do, and opens a file in their place. It must
   stay empty. */
#include "check.h"

#include <sys/stat.h>

int main(void)
{
	io_context_t ctx = new_context(1);
	struct stat stat;
	char name[] = "own-XXXXXX";
	int own = -1;

	for (int fd = 3; fd < 64; fd++)
		close(fd);
	CHECK((own = mkstemp(name)) == 3);
	/* Any number that the library may have had. */
	for (int fd = 4; fd < 64; fd++)
		CHECK_EQ(dup2(own, fd), fd);
	CHECK_EQ(io_destroy(ctx), 0);
	CHECK_EQ(fstat(own, &stat), 0);
	CHECK_EQ(stat.st_size, 0);
	CHECK_EQ(unlink(name), 0);
	return 0;
}
