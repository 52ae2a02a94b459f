/* A transfer to or from memory that is not there fails with -EFAULT: in io_submit where the address
   cannot be a program's, in the event where nothing is mapped there; io_submit also where an iovec
   array cannot be read. */
#define _GNU_SOURCE
#include "check.h"

#include <sys/mman.h>
#include <sys/uio.h>

int main(void)
{
	io_context_t ctx = new_context(1);
	int fd = new_file(4096, 0);
	void *kernel = (void *)-4096L;
	char *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iocb cb, *list[1] = { &cb };

	CHECK(page != MAP_FAILED);
	io_prep_pread(&cb, fd, kernel, 4096, 0);
	EXPECT("pread, kernel", io_submit(ctx, 1, list), -EFAULT);
	io_prep_preadv(&cb, fd, kernel, 1, 0);
	EXPECT("preadv, kernel", io_submit(ctx, 1, list), -EFAULT);
	io_prep_preadv(&cb, fd, NULL, 1, 0);
	EXPECT("preadv, NULL", io_submit(ctx, 1, list), -EFAULT);
	io_prep_pread(&cb, fd, page, 4096, 0);
	EXPECT("pread, no access", run_one(ctx, &cb), -EFAULT);
	io_prep_pwrite(&cb, fd, page, 4096, 0);
	EXPECT("pwrite, no access", run_one(ctx, &cb), -EFAULT);
	return 0;
}
