/* The locks that the process has on a file (fcntl, F_SETLK), which any close of the file would give up, stay:
   beside io_destroy, the end of a thread, where the file's flags change between two requests, and where it is
   named as the eventfd to notify. */
#define _GNU_SOURCE
#include "uring.h"

#include <pthread.h>
#include <sys/wait.h>

enum { WRITES = 16, BLOCK = 1 << 16 };

static io_context_t ctx;
static int fd;
static char *bytes;
static struct iocb requests[WRITES], *list[WRITES];

/* Whether another process finds the file locked. */
static int is_locked(void)
{
	pid_t child = fork();
	int status;

	CHECK(child >= 0);
	if (child == 0) {
		struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

		if (fcntl(fd, F_GETLK, &lock) != 0)
			_exit(2);
		_exit(lock.l_type != F_UNLCK);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) < 2);
	return WEXITSTATUS(status);
}

static void lock(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	CHECK_EQ(fcntl(fd, F_SETLK, &lock), 0);
	CHECK(is_locked());
}

static void *submits(void *unused)
{
	(void)unused;
	for (int i = 0; i < WRITES; i++) {
		io_prep_pwrite(&requests[i], fd, bytes, BLOCK, (long long)i * BLOCK);
		list[i] = &requests[i];
	}
	for (int done = 0, now; done < WRITES; done += now)
		CHECK((now = io_submit(ctx, WRITES - done, list + done)) > 0);
	return NULL;
}

int main(void)
{
	pthread_t thread;

	bytes = malloc(BLOCK);
	CHECK(bytes != NULL);
	memset(bytes, 'x', BLOCK);
	fd = new_file(BLOCK, O_DSYNC);
	lock();
	ctx = new_context(WRITES);
	submits(NULL);
	CHECK_EQ(io_destroy(ctx), 0);
	CHECK(is_locked());

	ctx = new_context(WRITES);
	CHECK_EQ(pthread_create(&thread, NULL, submits, NULL), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK(is_locked());
	CHECK_EQ(io_destroy(ctx), 0);

	ctx = new_context(WRITES);
	for (int i = 0; i < 3; i++) {
		io_prep_pread(&requests[0], fd, bytes, 512, 0);
		submit(ctx, &requests[0]);
	}
	CHECK_EQ(fcntl(fd, F_SETFL, O_APPEND), 0);
	submit(ctx, &requests[0]);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(take(ctx, &requests[0]), 512);
	CHECK(is_locked());
	io_set_eventfd(&requests[0], fd);
	CHECK_EQ(io_submit(ctx, 1, list), -EINVAL);
	CHECK(is_locked());
	CHECK_EQ(io_destroy(ctx), 0);
	CHECK_EQ(close(fd), 0);
	free(bytes);
	return 0;
}
