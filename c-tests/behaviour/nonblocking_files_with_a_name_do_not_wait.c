/* A FIFO and a terminal that were opened with O_NONBLOCK: a read that would have to wait is -EAGAIN, one
   that need not gets what is there, and what is written arrives. The others of the same call go on. */
#define _GNU_SOURCE
#include "check.h"

#include <sys/stat.h>
#include <termios.h>

static io_context_t ctx;
static char bytes[64];

static long reads(int fd)
{
	struct iocb cb;

	io_prep_pread(&cb, fd, bytes, sizeof(bytes), 0);
	return run_one(ctx, &cb);
}

/* Of a call with two requests. */
static void beside_another(int fd)
{
	struct iocb cbs[2], *list[] = { &cbs[0], &cbs[1] };
	struct io_event events[2];
	int file = new_file(sizeof(bytes), 0);
	char more[8];

	io_prep_pread(&cbs[0], fd, more, sizeof(more), 0);
	io_prep_pread(&cbs[1], file, bytes, sizeof(bytes), 0);
	CHECK_EQ(io_submit(ctx, 2, list), 2);
	CHECK_EQ(io_getevents(ctx, 2, 2, events, NULL), 2);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(events[i].res, events[i].obj == &cbs[0] ? -EAGAIN : (int)sizeof(bytes));
	CHECK(is_file_data(bytes, sizeof(bytes), 0));
	CHECK_EQ(close(file), 0);
}

static void run(const char *name, int to_read, int to_write)
{
	struct iocb cb;

	printf("%s\n", name);
	EXPECT("empty", reads(to_read), -EAGAIN);
	beside_another(to_read);
	io_prep_pwrite(&cb, to_write, "hello\n", 6, 0);
	EXPECT("write", run_one(ctx, &cb), 6);
	EXPECT("read", reads(to_read), 6);
	CHECK(memcmp(bytes, "hello\n", 6) == 0);
	EXPECT("empty again", reads(to_read), -EAGAIN);
	CHECK_EQ(close(to_read), 0);
	CHECK_EQ(close(to_write), 0);
}

static void fifo(void)
{
	int reader, writer;

	CHECK_EQ(mkfifo("fifo", 0600), 0);
	reader = open("fifo", O_RDONLY | O_NONBLOCK);
	writer = open("fifo", O_WRONLY | O_NONBLOCK);
	CHECK_EQ(unlink("fifo"), 0);
	CHECK(reader >= 0 && writer >= 0);
	run("fifo", reader, writer);
}

static void terminal(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK), slave;
	struct termios plain;

	CHECK(master >= 0);
	CHECK_EQ(grantpt(master), 0);
	CHECK_EQ(unlockpt(master), 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_NONBLOCK);
	CHECK(slave >= 0);
	CHECK_EQ(tcgetattr(slave, &plain), 0);
	cfmakeraw(&plain);
	CHECK_EQ(tcsetattr(slave, TCSANOW, &plain), 0);
	run("terminal", slave, master);
}

int main(void)
{
	alarm(30); /* for the case that one waits */
	ctx = new_context(4);
	fifo();
	terminal();
	CHECK_EQ(io_destroy(ctx), 0);
	return 0;
}
