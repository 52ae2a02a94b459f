/* The library on whatever machine this is: what a missing system call, or the kernel, answers to
   each function comes through with its sign, and errno beside it. */
#define _GNU_SOURCE
#include <libaio.h>

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

static int wrong;

/* Compares an answer of the library with that of the system call. */
#define AS_THE_KERNEL(call, ...)                                                                   \
	do {                                                                                       \
		errno = 0;                                                                         \
		long raw_ = syscall(__VA_ARGS__) < 0 ? -(long)errno : 0;                           \
		errno = 0;                                                                         \
		long ours_ = (call);                                                               \
		printf("%s: %ld, errno %d\n", #call, ours_, errno);                                \
		if (raw_ >= 0 || ours_ != raw_ || errno != -raw_) {                                \
			printf("  the kernel: %ld\n", raw_);                                       \
			wrong = 1;                                                                 \
		}                                                                                  \
	} while (0)

int main(void)
{
	io_context_t none = NULL, garbage = (io_context_t)(uintptr_t)0x10000;
	struct io_event event;
	struct iocb cb, *list[] = { &cb };
	struct timespec zero = { 0, 0 };

	io_prep_pread(&cb, -1, NULL, 0, 0);
	AS_THE_KERNEL(io_setup(0, &none), SYS_io_setup, 0, &none);
	AS_THE_KERNEL(io_setup(1, &garbage), SYS_io_setup, 1, &garbage);
	AS_THE_KERNEL(io_submit(none, 1, list), SYS_io_submit, none, 1L, list);
	AS_THE_KERNEL(io_submit(garbage, -1, list), SYS_io_submit, garbage, -1L, list);
	AS_THE_KERNEL(io_cancel(garbage, &cb, &event), SYS_io_cancel, garbage, &cb, &event);
	AS_THE_KERNEL(io_getevents(none, 1, 1, &event, &zero), SYS_io_getevents, none, 1L, 1L,
	              &event, &zero);
	AS_THE_KERNEL(io_destroy(garbage), SYS_io_destroy, garbage);
	return wrong;
}
