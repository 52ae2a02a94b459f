/* How many contexts there are under a limit on the address space, what the first call beyond it
   answers, and whether those that there are do work:

     limits KIBIBYTES      that much more than the program has when it starts */
#define _GNU_SOURCE
#include <libaio.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { MAX_CONTEXTS = 4096 };

static io_context_t contexts[MAX_CONTEXTS];

static long address_space(void)
{
	long pages = 0;
	FILE *statm = fopen("/proc/self/statm", "r");
	if (!statm || fscanf(statm, "%ld", &pages) != 1)
		exit(2);
	fclose(statm);
	return pages * sysconf(_SC_PAGESIZE);
}

/* One request there and back. */
static int works(io_context_t ctx, int fd)
{
	char byte = 0;
	struct iocb cb, *list[] = { &cb };
	struct io_event event;
	io_prep_pread(&cb, fd, &byte, 1, 0);
	return io_submit(ctx, 1, list) == 1 && io_getevents(ctx, 1, 1, &event, NULL) == 1 &&
	       event.obj == &cb && (long)event.res == 1;
}

int main(int argc, char **argv)
{
	int fd = open("/proc/self/exe", O_RDONLY);
	if (argc != 2 || fd < 0)
		return 2;
	struct rlimit limit;
	getrlimit(RLIMIT_AS, &limit);
	limit.rlim_cur = (rlim_t)(address_space() + atol(argv[1]) * 1024);
	if (setrlimit(RLIMIT_AS, &limit))
		return 2;

	for (int round = 1; round <= 2; round++) {
		int nr = 0, answer = 0, work = 0, destroyed = 0;
		while (nr < MAX_CONTEXTS && !(answer = io_setup(1, &contexts[nr])))
			nr++;
		for (int i = 0; i < nr; i++)
			work += works(contexts[i], fd);
		for (int i = 0; i < nr; i++) {
			destroyed += io_destroy(contexts[i]) == 0;
			contexts[i] = NULL;
		}
		fprintf(stderr, "round %d: %d contexts\n", round, nr);
		printf("some %d, all work %d, all destroyed %d, then %s\n", nr > 0, work == nr,
		       destroyed == nr, strerrorname_np(-answer));
	}
	return 0;
}
