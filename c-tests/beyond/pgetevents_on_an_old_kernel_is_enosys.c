/* Where the kernel has no io_pgetevents (here a seccomp filter plays that kernel), the answer is
   -ENOSYS and errno says so; the other calls work. */
/* engines: kernel */
#define _GNU_SOURCE
#include "check.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

int main(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_pgetevents, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };
	io_context_t ctx = new_context(1);
	int fd = eventfd(1, 0);
	struct timespec short_wait = { 0, 1000000 };
	struct io_event event;
	struct iocb cb;
	sigset_t none;

	CHECK(fd >= 0);
	sigemptyset(&none);
	CHECK_EQ(io_pgetevents(ctx, 1, 1, &event, &short_wait, &none), 0);
	CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
	errno = 0;
	CHECK_EQ(io_pgetevents(ctx, 1, 1, &event, &short_wait, &none), -ENOSYS);
	CHECK_EQ(errno, ENOSYS);
	io_prep_poll(&cb, fd, POLLIN);
	CHECK_EQ(run_one(ctx, &cb), POLLIN);
	return 0;
}
