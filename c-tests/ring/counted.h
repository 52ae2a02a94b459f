/*
 * counted.h - says whether a call of the library entered the kernel's io_getevents
 *
 * A seccomp filter answers io_getevents and io_pgetevents of this thread with an error that the
 * kernel's AIO never gives; and io_uring_enter, where it is asked for completions. Where a call
 * returns that, it made the system call.
 */
#ifndef COUNTED_H
#define COUNTED_H

#include "check.h"

#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { SYSTEM_CALL = -ENOTRECOVERABLE };

/* From here on this thread's io_getevents and io_pgetevents fail with SYSTEM_CALL. */
static inline void refuse_system_calls(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_getevents, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_pgetevents, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_enter, 0, 3),
		/* The lower half of the flags; this machine is little-endian. */
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[3])),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, IORING_ENTER_GETEVENTS, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | -SYSTEM_CALL),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

/* Puts `n` events that are ready into the context: polls of a descriptor that is. */
static inline void make_ready(io_context_t ctx, int n)
{
	static struct iocb requests[1024];
	int fd = eventfd(1, 0);

	CHECK(fd >= 0 && n <= 1024);
	for (int i = 0; i < n; i++) {
		struct iocb *list[1] = { &requests[i] };

		io_prep_poll(&requests[i], fd, POLLIN);
		requests[i].data = (void *)(uintptr_t)i;
		CHECK_EQ(io_submit(ctx, 1, list), 1);
	}
}

#endif /* COUNTED_H */
