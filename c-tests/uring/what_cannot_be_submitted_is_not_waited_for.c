/* Where the kernel does not let a context submit any more, for its descriptor is closed or a seccomp
 * filter forbids it, the request that was refused keeps neither the end of its thread nor io_destroy
 * waiting. */
#define _GNU_SOURCE
#include "uring.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static io_context_t ctx;
static char buffer[512];

static void *fails_to_submit(void *fd)
{
	struct iocb cb[40], *list[40];
	int i;

	for (i = 0; i < 40; i++) {
		io_prep_pread(&cb[i], *(int *)fd, buffer, sizeof(buffer), 0);
		list[i] = &cb[i];
	}
	CHECK(io_submit(ctx, 1, list) < 0);
	CHECK(io_submit(ctx, 40, list) < 0);
	return NULL;
}

static void close_descriptors(void)
{
	for (int fd = 3; fd < 200; fd++)
		close(fd);
}

static void forbid_to_enter(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_enter, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { sizeof(code) / sizeof(code[0]), code };

	CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0);
}

/* Refused to this thread, and to one that ends then. */
static void is_not_waited_for(void (*refuse)(void), int fd)
{
	pthread_t thread;
	struct io_event event;
	struct timespec moment = { 0, 1000000 };

	ctx = new_context(64);
	refuse();
	fails_to_submit(&fd);
	CHECK(io_getevents(ctx, 1, 1, &event, &moment) < 0);
	CHECK_EQ(io_destroy(ctx), 0);

	ctx = new_context(64);
	refuse();
	CHECK_EQ(pthread_create(&thread, NULL, fails_to_submit, &fd), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(io_destroy(ctx), 0);
}

int main(void)
{
	int fd = fcntl(new_file(4096, 0), F_DUPFD, 200);

	CHECK(fd >= 200);
	is_not_waited_for(close_descriptors, fd);
	is_not_waited_for(forbid_to_enter, fd);
	return 0;
}
