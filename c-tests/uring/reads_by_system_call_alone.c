/* As reads_by_system_call.c, in a program that defines nothing its libraries could use, not so much as a
   place for stderr: linked as no PIE, its table of symbols names imports alone. */
#define _GNU_SOURCE
#include <libaio.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void)
{
	io_context_t ctx = NULL;
	struct iocb cb, *list[] = { &cb };
	struct io_event event;
	char byte;
	int ends[2];

	if (pipe(ends) != 0 || write(ends[1], "", 1) != 1)
		return 1;
	if (io_setup(1, &ctx) != 0)
		return 2;
	io_prep_pread(&cb, ends[0], &byte, 1, 0);
	if (io_submit(ctx, 1, list) != 1)
		return 3;
	if (syscall(SYS_io_getevents, ctx, 1L, 1L, &event, NULL) != 1)
		return 4;
	return io_destroy(ctx);
}
