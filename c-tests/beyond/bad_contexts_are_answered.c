/* Every call with a handle that is no context of this process gives what the system call gives, and
   ends nobody: handles that are not mapped, not aligned, the kernel's, destroyed, look-alikes. */
/* file systems: ext4 */
#define _GNU_SOURCE
#include "against_the_kernel.h"

/* struct aio_ring of fs/aio.c */
struct ring {
	unsigned id, nr, head, tail, magic, compat_features, incompat_features, header_length;
	struct io_event events[8];
};

/* A ring with the kernel's magic and one event, for `id`. */
static void look_alike(void *page, unsigned id)
{
	struct ring *ring = page;

	*ring = (struct ring){ .id = id,
		               .nr = 8,
		               .head = 0,
		               .tail = 1,
		               .magic = 0xa10a10a1,
		               .compat_features = 1,
		               .header_length = 32 };
	memset(ring->events, 0xcc, sizeof(ring->events));
}

static void good(struct arguments *a)
{
	(void)a;
}

static void good_with_events(struct arguments *a)
{
	make_ready(a->ctx, 3);
}

static void null(struct arguments *a)
{
	a->ctx = NULL;
}

static void one(struct arguments *a)
{
	a->ctx = (io_context_t)(uintptr_t)1;
}

static void not_mapped(struct arguments *a)
{
	a->ctx = unmapped_page();
}

static void not_aligned(struct arguments *a)
{
	a->ctx = (io_context_t)((char *)a->ctx + 4);
}

static void odd(struct arguments *a)
{
	a->ctx = (io_context_t)((char *)a->ctx + 1);
}

static void second_page(struct arguments *a)
{
	a->ctx = (io_context_t)((char *)a->ctx + 4096);
}

static void in_kernel_half(struct arguments *a)
{
	a->ctx = kernel_half();
}

static void highest(struct arguments *a)
{
	a->ctx = (io_context_t)UINTPTR_MAX;
}

static void not_canonical(struct arguments *a)
{
	a->ctx = (io_context_t)((uintptr_t)1 << (sizeof(void *) * 8 - 2));
}

static void destroyed(struct arguments *a)
{
	CHECK_EQ(for_the_kernel ? syscall(SYS_io_destroy, a->ctx) : io_destroy(a->ctx), 0);
}

static void destroyed_by_system_call(struct arguments *a)
{
	CHECK_EQ(syscall(SYS_io_destroy, a->ctx), 0);
}

static void map_at(void *page)
{
	CHECK(mmap(page, 4096, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1,
	           0) == page);
}

static void destroyed_then_zeros_there(struct arguments *a)
{
	destroyed_by_system_call(a);
	map_at(a->ctx);
}

static void destroyed_then_look_alike_there(struct arguments *a)
{
	unsigned id = ((struct ring *)a->ctx)->id;

	destroyed_by_system_call(a);
	map_at(a->ctx);
	look_alike(a->ctx, id);
}

static void zeros(struct arguments *a)
{
	a->ctx = lone_page(PROT_READ | PROT_WRITE);
}

static void wrong_id(struct arguments *a)
{
	a->ctx = lone_page(PROT_READ | PROT_WRITE);
	look_alike(a->ctx, 0x7fffffff);
}

static void copy_of_a_ring(struct arguments *a)
{
	void *page = lone_page(PROT_READ | PROT_WRITE);

	make_ready(a->ctx, 2);
	memcpy(page, a->ctx, 4096);
	a->ctx = page;
}

static void no_access(struct arguments *a)
{
	a->ctx = lone_page(PROT_NONE);
}

static void last_word_of_a_page(struct arguments *a)
{
	char *page = lone_page(PROT_READ | PROT_WRITE);

	a->ctx = (io_context_t)(page + 4096 - 4);
}

static const struct {
	const char *name;
	prepare_t make;
} contexts[] = {
	{ "good", good },
	{ "good, with events", good_with_events },
	{ "NULL", null },
	{ "1", one },
	{ "not mapped", not_mapped },
	{ "not aligned", not_aligned },
	{ "odd", odd },
	{ "second page", second_page },
	{ "kernel half", in_kernel_half },
	{ "highest", highest },
	{ "not canonical", not_canonical },
	{ "destroyed", destroyed },
	{ "destroyed by system call", destroyed_by_system_call },
	{ "destroyed, zeros there", destroyed_then_zeros_there },
	{ "destroyed, look-alike there", destroyed_then_look_alike_there },
	{ "zeros", zeros },
	{ "wrong id", wrong_id },
	{ "copy of a ring", copy_of_a_ring },
	{ "no access", no_access },
	{ "last word of a page", last_word_of_a_page },
};

static void zero_timeout(struct arguments *a)
{
	a->timeout = &no_wait;
	a->min_nr = 1;
}

static void no_timeout(struct arguments *a)
{
	a->timeout = NULL;
}

static void one_ms(struct arguments *a)
{
	a->min_nr = 1;
}

static void two_of_four(struct arguments *a)
{
	a->min_nr = 2;
	a->nr = 4;
	a->timeout = &no_wait;
}

static void no_mask(struct arguments *a)
{
	a->timeout = &no_wait;
	a->sigmask = NULL;
}

static void no_requests(struct arguments *a)
{
	a->nr = 0;
}

static void in_flight(struct arguments *a)
{
	struct iocb *list[1] = { a->iocb };

	/* In what is no context it cannot be in flight: then it has the kernel's key at least. */
	io_prep_poll(a->iocb, never_fd, POLLIN);
	if (submit_here(a->ctx, 1, list) != 1)
		a->iocb->key = 0;
}

static const struct {
	const struct function *function;
	const char *name;
	prepare_t change;
} calls[] = {
	{ &submit, "one request", NULL },
	{ &submit, "no request", no_requests },
	{ &cancel, "a request", in_flight },
	{ &getevents, "zero timeout", zero_timeout },
	{ &getevents, "NULL timeout, min_nr 0", no_timeout },
	{ &getevents, "1 ms", one_ms },
	{ &getevents, "zero timeout, 2 of 4", two_of_four },
	{ &pgetevents, "zero timeout", zero_timeout },
	{ &pgetevents, "zero timeout, no mask", no_mask },
	{ &pgetevents, "NULL timeout, min_nr 0", no_timeout },
	{ &pgetevents, "1 ms", one_ms },
	{ &destroy, "", NULL },
	{ &queue_release, "", NULL },
	{ &queue_wait, "zero timeout", zero_timeout },
	{ &queue_wait, "NULL timeout", no_timeout },
	{ &queue_wait, "1 ms", one_ms },
};

int main(void)
{
	for (size_t i = 0; i < sizeof(contexts) / sizeof(contexts[0]); i++) {
		prepare_t make = contexts[i].make;

		if ((make == destroyed_by_system_call || make == destroyed_then_zeros_there ||
		     make == destroyed_then_look_alike_there) &&
		    !kernel_alone())
			continue;
		for (size_t j = 0; j < sizeof(calls) / sizeof(calls[0]); j++)
			compare(contexts[i].name, calls[j].name, calls[j].function, make,
			        calls[j].change);
		/* With events ready it takes them all, and the one system call does not. */
		if (make != good_with_events)
			compare(contexts[i].name, "", &queue_run, make, NULL);
	}
	return verdict(kernel_alone() ? 339 : 288);
}
