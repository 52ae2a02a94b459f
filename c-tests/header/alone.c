/* alone.c - the header with nothing before it, in every language mode (tests/header.rs) */
#include <libaio.h>

int main(void);
int main(void)
{
	io_context_t ctx = 0;
	struct iocb iocb, *iocbs[1];
	struct io_event event;
	char byte;

	/* Every inline helper is instantiated, so that its body is seen by every warning. */
	iocbs[0] = &iocb;
	io_prep_pread(&iocb, 0, &byte, 1, 0);
	io_prep_pwrite(&iocb, 0, &byte, 1, 0);
	io_prep_preadv(&iocb, 0, 0, 0, 0);
	io_prep_pwritev(&iocb, 0, 0, 0, 0);
	io_prep_preadv2(&iocb, 0, 0, 0, 0, 0);
	io_prep_pwritev2(&iocb, 0, 0, 0, 0, 0);
	io_prep_poll(&iocb, 0, 0);
	io_prep_fsync(&iocb, 0);
	io_prep_fdsync(&iocb, 0);
	io_set_callback(&iocb, 0);
	io_set_eventfd(&iocb, 0);
	return io_setup(1, &ctx) | io_submit(ctx, 1, iocbs) | io_cancel(ctx, &iocb, &event) |
	       io_getevents(ctx, 1, 1, &event, 0) | io_pgetevents(ctx, 1, 1, &event, 0, 0) |
	       io_queue_init(1, &ctx) | io_queue_run(ctx) | io_queue_wait(ctx, 0) |
	       io_poll(ctx, &iocb, 0, 0, 0) | io_fsync(ctx, &iocb, 0, 0) |
	       io_fdsync(ctx, &iocb, 0, 0) | io_queue_release(ctx) | io_destroy(ctx);
}
