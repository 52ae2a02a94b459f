/* What was submitted is written when the process has ended by exit(3), also where there are more completions that nobody
   has taken than a completion queue has room for. */
#define _GNU_SOURCE
#include "uring.h"

#include <sys/wait.h>

enum { N = 72000, AT_ONCE = 1000, SIZE = 16 };

static struct iocb writes[N], *list[N];
static char there[N * SIZE];

int main(void)
{
	static char bytes[SIZE] = "sixteen letters";
	int fd = new_file(0, 0), status;
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		io_context_t ctx = NULL;
		int answer = io_setup(N, &ctx);

		alarm(60);
		if (is_refused(N, answer))
			_exit(77);
		CHECK_EQ(answer, 0);
		use(ctx, eventfd(1, 0));
		for (int i = 0; i < N; i++) {
			io_prep_pwrite(&writes[i], fd, bytes, SIZE, (long long)i * SIZE);
			list[i] = &writes[i];
		}
		for (int i = 0; i < N; i += AT_ONCE)
			CHECK_EQ(io_submit(ctx, AT_ONCE, list + i), AT_ONCE);
		exit(0);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		return 0;
	CHECK_EQ(status, 0);
	CHECK_EQ(pread(fd, there, sizeof(there), 0), sizeof(there));
	for (int i = 0; i < N; i++)
		CHECK(memcmp(there + (size_t)i * SIZE, bytes, SIZE) == 0);
	return 0;
}
