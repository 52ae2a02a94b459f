/* beside.c - the header between others whose names come near it, twice, in any order */
#include <aio.h>
#include <sys/uio.h>

#include <libaio.h>
#include <libaio.h>

#include <linux/fs.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>

int both(struct aiocb *posix, struct iocb *linux_aio);

/* The kernel's member names are members, so POSIX's of the same name do not disturb them. */
int both(struct aiocb *posix, struct iocb *linux_aio)
{
	posix->aio_nbytes = 1;
	posix->aio_buf = 0;
	linux_aio->aio_nbytes = 1;
	linux_aio->aio_buf = 0;
	linux_aio->aio_offset = 0;
	linux_aio->aio_data = 0;
	return posix->aio_fildes + linux_aio->aio_fildes;
}
