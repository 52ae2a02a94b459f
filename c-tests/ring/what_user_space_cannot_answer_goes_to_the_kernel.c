/* Where the fast path must step aside it does, also with events ready: a signal mask, pointers that
   the kernel refuses, bad counts, contexts that the library did not make or that have moved. */
#define _GNU_SOURCE
#include "counted.h"

#include <signal.h>
#include <sys/mman.h>

int main(void)
{
	struct io_event events[4];
	struct timespec zero = { 0, 0 };
	io_context_t ctx = new_context(16), raw = NULL, moved;
	void *kernel_half = (void *)(uintptr_t)0xffff800000000000u;
	sigset_t mask;

	sigemptyset(&mask);
	CHECK_EQ(syscall(SYS_io_setup, 16, &raw), 0);
	make_ready(ctx, 4);
	refuse_system_calls();

	CHECK_EQ(io_pgetevents(ctx, 1, 1, events, NULL, &mask), SYSTEM_CALL);
	CHECK_EQ(io_getevents(ctx, 1, 1, NULL, NULL), SYSTEM_CALL);
	CHECK_EQ(io_getevents(ctx, 1, 1, (struct io_event *)4095, NULL), SYSTEM_CALL);
	CHECK_EQ(io_getevents(ctx, 1, 1, (struct io_event *)kernel_half, NULL), SYSTEM_CALL);
	CHECK_EQ(io_getevents(ctx, 1, 1, events, (struct timespec *)8), SYSTEM_CALL);
	CHECK_EQ(io_getevents(ctx, 1, 1, events, (struct timespec *)kernel_half), SYSTEM_CALL);
	CHECK_EQ(io_getevents(ctx, 2, 1, events, &zero), SYSTEM_CALL);
	CHECK_EQ(io_getevents(ctx, -1, 1, events, &zero), SYSTEM_CALL);
	CHECK_EQ(io_getevents(ctx, -1, -1, events, &zero), SYSTEM_CALL);
	CHECK_EQ(io_getevents(NULL, 0, 1, events, &zero), SYSTEM_CALL);
	CHECK_EQ(io_getevents((io_context_t)((char *)ctx + 8), 0, 1, events, &zero), SYSTEM_CALL);
	CHECK_EQ(io_getevents(raw, 0, 1, events, &zero), SYSTEM_CALL);

	/* They lost nothing. */
	CHECK_EQ(io_getevents(ctx, 4, 4, events, NULL), 4);

	/* At its new address a ring is a context that the library did not make. */
	moved = mremap(ctx, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED,
	               mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	CHECK(moved != MAP_FAILED && moved != ctx);
	CHECK_EQ(io_getevents(moved, 0, 1, events, &zero), SYSTEM_CALL);
	CHECK_EQ(io_destroy(moved), 0);
	return 0;
}
