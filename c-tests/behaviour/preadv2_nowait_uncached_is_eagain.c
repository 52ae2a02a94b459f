/* file systems: ext4 */
/* A preadv2 request with RWF_NOWAIT gives -EAGAIN for bytes that are not in the page cache, and
   reads them once they are. */
#define _GNU_SOURCE
#include "check.h"

#include <sys/uio.h>

#define SIZE (64 * 4096)

static unsigned char buf[SIZE];

int main(void)
{
	io_context_t ctx = new_context(1);
	int fd = new_file(SIZE, 0);
	struct iovec iov = { buf, SIZE };
	struct iocb cb;
	long res = 0;

	/* The attempt itself starts the reading, which a fast device may finish at once: hence up
	   to 100 of them. A buffered read without the flag is never -EAGAIN. */
	for (int i = 0; i < 100 && res != -EAGAIN; i++) {
		CHECK_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
		io_prep_preadv2(&cb, fd, &iov, 1, 0, RWF_NOWAIT);
		res = run_one(ctx, &cb);
	}
	EXPECT("uncached", res, -EAGAIN);

	CHECK_EQ(pread(fd, buf, SIZE, 0), SIZE);
	memset(buf, 0xee, SIZE);
	io_prep_preadv2(&cb, fd, &iov, 1, 0, RWF_NOWAIT);
	EXPECT("cached", run_one(ctx, &cb), SIZE);
	CHECK(is_file_data(buf, SIZE, 0));
	return 0;
}
