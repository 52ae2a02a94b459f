/*
 * check.h - what the C tests share: assertions that name what differs.
 *
 * A test is a program of one behaviour: exit status 0 means that it holds. What it prints on stdout
 * must be the same on libaio and on libaio-rs; why it failed goes to stderr.
 */
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <fcntl.h>
#include <libaio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);  \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

/* Compares two integers and prints both where they differ. */
#define CHECK_EQ(expression, expected)                                                             \
	do {                                                                                       \
		long long got_ = (long long)(expression), want_ = (long long)(expected);           \
		if (got_ != want_) {                                                               \
			fprintf(stderr, "%s:%d: %s is %lld, not %s (%lld)\n", __FILE__, __LINE__,  \
			        #expression, got_, #expected, want_);                              \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

/* Prints "name: value" on stdout, for the comparison of libraries, and checks the value. */
#define EXPECT(name, expression, expected)                                                         \
	do {                                                                                       \
		long long value_ = (long long)(expression), right_ = (long long)(expected);        \
		printf("%s: %lld\n", name, value_);                                                \
		if (value_ != right_) {                                                            \
			fprintf(stderr, "%s:%d: %s is %lld, not %s (%lld)\n", __FILE__, __LINE__,  \
			        #expression, value_, #expected, right_);                           \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

/* A context for `n` requests. */
static inline io_context_t new_context(int n)
{
	io_context_t ctx = NULL;
	CHECK_EQ(io_setup(n, &ctx), 0);
	return ctx;
}

/* A new file of `size` bytes in the working directory, byte i being i % 251; open to read and
   write, with `flags` (O_DIRECT), and already unlinked. */
static inline int new_file(size_t size, int flags)
{
	char name[] = "c-test-XXXXXX";
	int fd = mkstemp(name), again;
	unsigned char *bytes = (unsigned char *)malloc(size + 1);
	CHECK(fd >= 0 && bytes != NULL);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (unsigned char)(i % 251);
	CHECK_EQ(write(fd, bytes, size), size);
	CHECK_EQ(fsync(fd), 0);
	free(bytes);
	again = open(name, O_RDWR | flags);
	CHECK(again >= 0);
	CHECK_EQ(close(fd), 0);
	CHECK_EQ(unlink(name), 0);
	return again;
}

/* Whether `buf` holds the `n` bytes that new_file writes from `offset` on. */
static inline int is_file_data(const void *buf, size_t n, size_t offset)
{
	for (size_t i = 0; i < n; i++)
		if (((const unsigned char *)buf)[i] != (offset + i) % 251)
			return 0;
	return 1;
}

/* Submits one request and takes its completion; checks that it is that one. Returns res. */
static inline long run_one(io_context_t ctx, struct iocb *iocb)
{
	struct io_event event;
	memset(&event, 0xee, sizeof(event));
	CHECK_EQ(io_submit(ctx, 1, &iocb), 1);
	CHECK_EQ(io_getevents(ctx, 1, 1, &event, NULL), 1);
	CHECK(event.obj == iocb);
	CHECK(event.data == iocb->data);
	CHECK_EQ(event.res2, 0);
	return (long)event.res;
}

/* Waits until thread `tid` of this process sleeps in the kernel. It must have said before that
   nothing but the call in question is left for it to sleep in. */
static inline void wait_until_asleep(pid_t tid)
{
	char name[64], line[512], *end;
	snprintf(name, sizeof(name), "/proc/self/task/%d/stat", (int)tid);
	for (;;) {
		FILE *f = fopen(name, "r");
		CHECK(f != NULL && fgets(line, sizeof(line), f) != NULL);
		CHECK_EQ(fclose(f), 0);
		end = strrchr(line, ')'); /* proc(5): pid (comm) state */
		CHECK(end != NULL);
		if (end[2] == 'S')
			return;
	}
}

#endif /* CHECK_H */
