/* Destroys a context where files may have no more than 100 bytes, fewer than the report has. With an argument it
   writes more itself, which kills it. */
#include "check.h"

#include <sys/resource.h>

int main(int argc, char **argv)
{
	struct rlimit bytes = { 100, 100 }, none = { 0, 0 };
	io_context_t ctx = new_context(1);
	char name[] = "own-XXXXXX";
	int own = mkstemp(name);

	(void)argv;
	CHECK(own >= 0);
	CHECK_EQ(unlink(name), 0);
	CHECK_EQ(setrlimit(RLIMIT_CORE, &none), 0);
	CHECK_EQ(setrlimit(RLIMIT_FSIZE, &bytes), 0);
	CHECK_EQ(io_destroy(ctx), 0);
	if (argc > 1)
		(void)!pwrite(own, "x", 1, 100);
	return 0;
}
