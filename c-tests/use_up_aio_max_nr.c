/*
 * use_up_aio_max_nr.c - runs a program while no AIO context can be had on this machine
 *
 *   use_up_aio_max_nr PROGRAM ARGS...
 *
 * Creates contexts of ever smaller size until the kernel refuses even one of one request, runs the
 * program, and gives all back. The limit fs.aio-max-nr counts for the whole machine, hence the
 * lock in tests/common. Exit status: the program's.
 */
#include <errno.h>
#include <libaio.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST = 65536 };

int main(int argc, char **argv)
{
	static io_context_t contexts[MOST];
	int made = 0, requests = 0x4000, status, ret;
	pid_t child;

	if (argc < 2) {
		fprintf(stderr, "usage: use_up_aio_max_nr PROGRAM ARGS...\n");
		return 2;
	}
	while (requests > 0 && made < MOST) {
		ret = io_setup(requests, &contexts[made]);
		if (ret == 0) {
			made++;
		} else if (ret == -EAGAIN) {
			requests /= 2;
		} else {
			perror("use_up_aio_max_nr: io_setup");
			return 2;
		}
	}
	if (requests > 0) {
		fprintf(stderr, "use_up_aio_max_nr: %d contexts, and still room\n", made);
		return 2;
	}
	/* Not exec: the contexts go with the address space. */
	child = fork();
	if (child == 0) {
		execv(argv[1], argv + 1);
		perror(argv[1]);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) != child) {
		perror("use_up_aio_max_nr");
		return 2;
	}
	while (made > 0)
		io_destroy(contexts[--made]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
