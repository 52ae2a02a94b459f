/* Reads the first bytes of a file and prints them: for what a package of the library builds. */
#include <fcntl.h>
#include <libaio.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	io_context_t ctx = 0;
	struct iocb request, *requests[] = { &request };
	struct io_event event;
	char text[100];
	int fd = open(argv[argc - 1], O_RDONLY);

	if (fd < 0 || io_setup(1, &ctx) < 0)
		return 1;
	io_prep_pread(&request, fd, text, sizeof(text), 0);
	if (io_submit(ctx, 1, requests) != 1 || io_getevents(ctx, 1, 1, &event, NULL) != 1)
		return 2;
	printf("%.*s", (int)event.res, text);
	return io_destroy(ctx) != 0;
}
