/* Requests of a file are carried out, though its descriptor was closed and the number is a pipe's by now, or
   was a device's before: beside io_destroy, and where the thread that submitted them ends. */
#define _GNU_SOURCE
#include "uring.h"

#include <pthread.h>

enum { WRITES = 32, BLOCK = 1 << 18, READS = 64, PAGE = 4096 };

static io_context_t ctx;
static int fd;
static unsigned char *bytes;
static struct iocb requests[READS], *list[READS];

static void submit_all(int n)
{
	for (int done = 0, now; done < n; done += now)
		CHECK((now = io_submit(ctx, n - done, list + done)) > 0);
}

/* The number becomes one of a pipe's. */
static void use_again(int ends[2])
{
	CHECK_EQ(close(fd), 0);
	CHECK_EQ(pipe(ends), 0);
	CHECK(ends[0] == fd || ends[1] == fd);
}

static void close_pipe(const int ends[2])
{
	CHECK_EQ(close(ends[0]), 0);
	CHECK_EQ(close(ends[1]), 0);
}

/* The number that the next file gets is that of a device with the same flags, of which something is asked. */
static void use_as_a_device(void)
{
	struct iocb request;
	char byte = 'x';
	int device = open("/dev/null", O_RDWR);

	CHECK(device >= 0);
	io_prep_pwrite(&request, device, &byte, 1, 0);
	CHECK_EQ(run_one(ctx, &request), 1);
	CHECK_EQ(close(device), 0);
}

static void destroyed(int in_one_call, int was_a_device)
{
	char name[] = "written-XXXXXX";
	unsigned char *read_back = malloc(BLOCK);
	int ends[2];

	memset(bytes, 'x', BLOCK);
	ctx = new_context(WRITES);
	if (was_a_device)
		use_as_a_device();
	fd = mkstemp(name);
	CHECK(fd >= 0 && read_back != NULL);
	for (int i = 0; i < WRITES; i++) {
		io_prep_pwrite(&requests[i], fd, bytes, BLOCK, (long long)i * BLOCK);
		list[i] = &requests[i];
		if (!in_one_call)
			submit(ctx, &requests[i]);
	}
	if (in_one_call)
		submit_all(WRITES);
	use_again(ends);
	CHECK_EQ(io_destroy(ctx), 0);
	close_pipe(ends);
	fd = open(name, O_RDONLY);
	CHECK(fd >= 0);
	for (int i = 0; i < WRITES; i++) {
		CHECK_EQ(pread(fd, read_back, BLOCK, (long long)i * BLOCK), BLOCK);
		CHECK(memcmp(read_back, bytes, BLOCK) == 0);
	}
	free(read_back);
	CHECK_EQ(close(fd), 0);
	CHECK_EQ(unlink(name), 0);
}

static void *submits_and_ends(void *ends)
{
	submit_all(READS);
	use_again(ends);
	return NULL;
}

static void thread_has_ended(void)
{
	pthread_t thread;
	struct io_event event;
	int ends[2];

	ctx = new_context(READS);
	fd = new_file(READS * PAGE, 0);
	CHECK_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM), 0);
	CHECK_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	for (int i = 0; i < READS; i++) {
		io_prep_pread(&requests[i], fd, bytes + i * PAGE, PAGE, (long long)i * PAGE);
		list[i] = &requests[i];
	}
	CHECK_EQ(pthread_create(&thread, NULL, submits_and_ends, ends), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	for (int i = 0; i < READS; i++) {
		CHECK_EQ(io_getevents(ctx, 1, 1, &event, NULL), 1);
		CHECK_EQ(event.res, PAGE);
	}
	CHECK(is_file_data(bytes, READS * PAGE, 0));
	close_pipe(ends);
	CHECK_EQ(io_destroy(ctx), 0);
}

int main(void)
{
	alarm(60); /* for the case that something never ends */
	bytes = malloc(BLOCK);
	CHECK(bytes != NULL);
	for (int i = 0; i < 4; i++) {
		destroyed(1, i & 1);
		destroyed(0, i & 1);
	}
	thread_has_ended();
	free(bytes);
	return 0;
}
