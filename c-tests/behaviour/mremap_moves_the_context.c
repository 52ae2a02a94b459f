/* After mremap of its ring a context's new address is its handle, and the old one is none. */
/* engines: kernel */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

/* The bytes that are mapped at `start`, from /proc/self/maps. */
static size_t mapped_at(const void *start)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long from, to;
	char line[512];

	CHECK(f != NULL);
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "%lx-%lx", &from, &to) == 2 && from == (uintptr_t)start) {
			CHECK_EQ(fclose(f), 0);
			return to - from;
		}
	CHECK(!"mapped");
	return 0;
}

int main(void)
{
	io_context_t ctx = new_context(4), moved;
	int fd = eventfd(1, 0);
	struct iocb cb, *list[1] = { &cb };
	struct io_event event;
	struct timespec no_wait = { 0, 0 };
	size_t size = mapped_at(ctx);
	void *to = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(fd >= 0 && to != MAP_FAILED);
	io_prep_poll(&cb, fd, POLLIN);
	CHECK_EQ(io_submit(ctx, 1, list), 1);
	moved = mremap(ctx, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	CHECK(moved == to);
	EXPECT("old submit", io_submit(ctx, 1, list), -EINVAL);
	EXPECT("old destroy", io_destroy(ctx), -EINVAL);
	EXPECT("new getevents", io_getevents(moved, 0, 1, &event, &no_wait), 1);
	CHECK(event.obj == &cb);
	EXPECT("none left", io_getevents(moved, 0, 1, &event, &no_wait), 0);
	EXPECT("new submit", run_one(moved, &cb), POLLIN);
	EXPECT("new destroy", io_destroy(moved), 0);
	EXPECT("new destroy again", io_destroy(moved), -EINVAL);
	return 0;
}
