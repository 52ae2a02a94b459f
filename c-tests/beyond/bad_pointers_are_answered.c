/* Pointers that the kernel cannot use, for each argument that is one, give what the system call
   gives (-EFAULT, or nothing where it does not look), and end nobody. */
/* file systems: ext4 */
/* statistics: off */
#define _GNU_SOURCE
#include "against_the_kernel.h"

#include <limits.h>

static struct pointer {
	const char *name;
	void *p;
} pointers[6];

static void *pointer;
static struct timespec *timeout;
static long min_nr;

static void two_ready(struct arguments *a)
{
	make_ready(a->ctx, 2);
}

static void bad_events(struct arguments *a)
{
	a->events = pointer;
	a->min_nr = min_nr;
	a->nr = 2;
	a->timeout = timeout;
}

/* Room for one event, where two are ready. */
static void events_half_mapped(struct arguments *a)
{
	char *page = lone_page(PROT_READ | PROT_WRITE);

	make_ready(a->ctx, 2);
	a->events = (struct io_event *)(void *)(page + 4096) - 1;
	a->min_nr = min_nr;
	a->nr = 2;
	a->timeout = timeout;
}

static void events_read_only(struct arguments *a)
{
	make_ready(a->ctx, 1);
	a->events = lone_page(PROT_READ);
	a->timeout = timeout;
}

static void bad_sigmask(struct arguments *a)
{
	a->sigmask = pointer;
	a->min_nr = min_nr;
	a->timeout = timeout;
}

static void bad_list(struct arguments *a)
{
	a->ios = pointer;
}

static void bad_list_no_request(struct arguments *a)
{
	a->ios = pointer;
	a->nr = 0;
}

static void bad_request(struct arguments *a)
{
	a->ios[0] = pointer;
	a->nr = 2;
}

static void bad_second_request(struct arguments *a)
{
	a->ios[1] = pointer;
	a->nr = 3;
}

/* The list ends with its page, after one request, and the count says more. */
static void list_half_mapped(struct arguments *a)
{
	char *page = lone_page(PROT_READ | PROT_WRITE);

	a->ios = (struct iocb **)(void *)(page + 4096) - 1;
	a->ios[0] = &some_iocb;
	a->nr = 2;
}

static void list_half_mapped_long_max(struct arguments *a)
{
	list_half_mapped(a);
	a->nr = LONG_MAX;
}

static void request_half_mapped(struct arguments *a)
{
	char *page = lone_page(PROT_READ | PROT_WRITE);

	a->ios[0] = (struct iocb *)(void *)(page + 4096 - 32);
}

static void request_read_only(struct arguments *a)
{
	a->ios[0] = lone_page(PROT_READ);
}

static void bad_cancelled(struct arguments *a)
{
	a->iocb = pointer;
}

static void bad_result(struct arguments *a)
{
	struct iocb *list[1] = { a->iocb };

	io_prep_poll(a->iocb, never_fd, POLLIN);
	CHECK_EQ(submit_here(a->ctx, 1, list), 1);
	a->result = pointer;
}

static void wrong_key(struct arguments *a)
{
	bad_result(a);
	a->iocb->key = 1;
}

static void bad_ctxp(struct arguments *a)
{
	a->ctxp = pointer;
}

static void ctxp_not_aligned(struct arguments *a)
{
	a->ctxp = (io_context_t *)(void *)((char *)lone_page(PROT_READ | PROT_WRITE) + 3);
}

static void ctxp_half_mapped(struct arguments *a)
{
	a->ctxp = (io_context_t *)(void *)((char *)lone_page(PROT_READ | PROT_WRITE) + 4096 - 4);
}

static void ctxp_read_only(struct arguments *a)
{
	a->ctxp = lone_page(PROT_READ);
}

/* Two wrongs at once: which of them the kernel sees first. */
static void no_context_bad_timeout(struct arguments *a)
{
	a->ctx = NULL;
	a->timeout = pointer;
}

static void bad_counts_bad_timeout(struct arguments *a)
{
	a->min_nr = 2;
	a->timeout = pointer;
}

static void no_context_bad_sigmask(struct arguments *a)
{
	a->ctx = NULL;
	a->sigmask = pointer;
	a->timeout = &no_wait;
}

static void no_context_bad_list(struct arguments *a)
{
	a->ctx = NULL;
	a->ios = pointer;
}

static void no_context_bad_cancelled(struct arguments *a)
{
	a->ctx = NULL;
	a->iocb = pointer;
}

static void bad_setup_count_bad_ctxp(struct arguments *a)
{
	a->maxevents = 0;
	a->ctxp = pointer;
}

static void events_cases(const char *how, struct timespec *limit, long wanted)
{
	timeout = limit;
	min_nr = wanted;
	for (int i = 0; i < 6; i++) {
		pointer = pointers[i].p;
		if (i < 4 || kernel_alone()) {
			compare("events", pointers[i].name, &getevents, two_ready, bad_events);
			compare("events", pointers[i].name, &pgetevents, two_ready, bad_events);
		}
		/* With nothing to store nobody looks. */
		if (timeout != NULL || wanted == 0) {
			compare("events, none ready", pointers[i].name, &getevents, NULL,
			        bad_events);
			compare("events, none ready", pointers[i].name, &pgetevents, NULL,
			        bad_events);
		}
		compare("sigmask", pointers[i].name, &pgetevents, two_ready, bad_sigmask);
		if (timeout != NULL || wanted == 0)
			compare("sigmask, none ready", pointers[i].name, &pgetevents, NULL,
			        bad_sigmask);
	}
	if (!kernel_alone())
		return;
	compare("events", how, &getevents, NULL, events_half_mapped);
	compare("events", how, &pgetevents, NULL, events_half_mapped);
	compare("events, read-only", how, &getevents, NULL, events_read_only);
}

int main(void)
{
	pointers[0] = (struct pointer){ "NULL", NULL };
	pointers[1] = (struct pointer){ "1", (void *)(uintptr_t)1 };
	pointers[2] = (struct pointer){ "kernel half", kernel_half() };
	pointers[3] = (struct pointer){ "highest page", (void *)-4096L };
	pointers[4] = (struct pointer){ "not mapped", unmapped_page() };
	pointers[5] = (struct pointer){ "no access", lone_page(PROT_NONE) };

	events_cases("NULL timeout, min_nr 1", NULL, 1);
	events_cases("NULL timeout, min_nr 0", NULL, 0);
	events_cases("zero timeout", &no_wait, 1);
	events_cases("1 ms", &short_wait, 2);

	for (int i = 0; i < 6; i++) {
		const char *name = pointers[i].name;

		pointer = pointers[i].p;
		if (i < 4 || !by_io_uring()) {
			compare("list", name, &submit, NULL, bad_list);
			compare("first request", name, &submit, NULL, bad_request);
			compare("second request", name, &submit, NULL, bad_second_request);
			compare("request", name, &cancel, NULL, bad_cancelled);
		}
		compare("list, nr 0", name, &submit, NULL, bad_list_no_request);
		compare("result", name, &cancel, NULL, bad_result);
		compare("ctxp", name, &setup, NULL, bad_ctxp);
		compare("ctxp", name, &queue_init, NULL, bad_ctxp);
		compare("no context, bad timeout", name, &getevents, NULL, no_context_bad_timeout);
		compare("no context, bad timeout", name, &queue_wait, NULL, no_context_bad_timeout);
		compare("bad counts, bad timeout", name, &getevents, NULL, bad_counts_bad_timeout);
		compare("bad counts, bad timeout", name, &pgetevents, NULL, bad_counts_bad_timeout);
		compare("no context, bad sigmask", name, &pgetevents, NULL, no_context_bad_sigmask);
		compare("no context, bad list", name, &submit, NULL, no_context_bad_list);
		compare("no context, bad request", name, &cancel, NULL, no_context_bad_cancelled);
		compare("maxevents 0, bad ctxp", name, &setup, NULL, bad_setup_count_bad_ctxp);
	}
	if (!by_io_uring()) {
		compare("list", "half mapped", &submit, NULL, list_half_mapped);
		compare("list", "half mapped, nr LONG_MAX", &submit, NULL,
		        list_half_mapped_long_max);
		compare("request", "half mapped", &submit, NULL, request_half_mapped);
		compare("request", "read-only", &submit, NULL, request_read_only);
	}
	compare("request", "not the kernel's key", &cancel, NULL, wrong_key);
	compare("ctxp", "not aligned", &setup, NULL, ctxp_not_aligned);
	compare("ctxp", "not aligned", &queue_init, NULL, ctxp_not_aligned);
	compare("ctxp", "half mapped", &setup, NULL, ctxp_half_mapped);
	compare("ctxp", "half mapped", &queue_init, NULL, ctxp_half_mapped);
	compare("ctxp", "read-only", &setup, NULL, ctxp_read_only);
	compare("ctxp", "read-only", &queue_init, NULL, ctxp_read_only);
	return verdict(kernel_alone() ? 245 : by_io_uring() ? 200 : 217);
}
