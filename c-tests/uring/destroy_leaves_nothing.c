/* io_destroy leaves no descriptor, no mapping and no thread of the context: with requests in flight,
   with events not taken, and with a request that asked for an eventfd. */
#define _GNU_SOURCE
#include "uring.h"

static int lines(const char *name)
{
	FILE *f = fopen(name, "r");
	int n = 0, c;

	CHECK(f != NULL);
	while ((c = getc(f)) != EOF)
		n += c == '\n';
	CHECK_EQ(fclose(f), 0);
	return n;
}

/* Threads of this process, without the kernel's workers. */
static int threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	int n = 0;

	CHECK(dir != NULL);
	while ((entry = readdir(dir)) != NULL) {
		char path[300], name[32] = "";
		FILE *f;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
		f = fopen(path, "r");
		/* A thread may end meanwhile. */
		n += f && fgets(name, sizeof(name), f) && strncmp(name, "iou-wrk", 7) != 0;
		if (f)
			CHECK_EQ(fclose(f), 0);
	}
	CHECK_EQ(closedir(dir), 0);
	return n;
}

static void use_one(int with_eventfd)
{
	io_context_t ctx = new_context(64);
	int ready = eventfd(1, 0), never = eventfd(0, 0), notified = eventfd(0, 0), fd;
	struct iocb ends, stays, reads;
	static char bytes[4096];

	fd = new_file(sizeof(bytes), 0);
	io_prep_poll(&ends, ready, POLLIN);
	io_prep_poll(&stays, never, POLLIN);
	io_prep_pread(&reads, fd, bytes, sizeof(bytes), 0);
	if (with_eventfd) {
		io_set_eventfd(&ends, notified);
		io_set_eventfd(&stays, notified);
	}
	submit(ctx, &ends);
	CHECK(take(ctx, &ends) & POLLIN);
	submit(ctx, &stays);
	submit(ctx, &ends);
	submit(ctx, &reads);
	CHECK_EQ(threads() > 1, with_eventfd);
	CHECK_EQ(io_destroy(ctx), 0);
	CHECK_EQ(close(ready) + close(never) + close(notified) + close(fd), 0);
}

int main(void)
{
	int descriptors, mappings;

	/* The first one makes what stays: the table of contexts. */
	use_one(1);
	descriptors = entries("/proc/self/fd", "");
	mappings = lines("/proc/self/maps");
	for (int i = 0; i < 50; i++)
		use_one(i % 2);
	CHECK_EQ(io_urings(), 0);
	CHECK_EQ(entries("/proc/self/fd", ""), descriptors);
	CHECK_EQ(threads(), 1);
	/* The C library may keep the stack of a thread that has ended. */
	CHECK(lines("/proc/self/maps") <= mappings + 2);
	return 0;
}
