/* Tells what it was started with, one thing an argument:
 *   library      the file that io_setup comes from
 *   mapped       the libaio files in the memory map
 *   by:NAME      the file of io_setup in what dlopen finds under that name
 *   engine       what a context is made of
 *   env:NAME     a variable
 *   name         the name that it was started by
 *   rest         the arguments that follow, each in brackets
 *   descriptors  how many there are beside the standard ones
 *   wait         nothing more: stays until a signal ends it
 *   exit:N       ends with that status */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <libaio.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void tell_file_of(void *function)
{
	char path[PATH_MAX];
	Dl_info info;

	if (!function || !dladdr(function, &info) || !realpath(info.dli_fname, path))
		exit(99);
	puts(path);
}

static void tell_mapped(void)
{
	char line[2 * PATH_MAX], last[PATH_MAX] = "", *path;
	FILE *maps = fopen("/proc/self/maps", "r");

	while (maps && fgets(line, sizeof(line), maps)) {
		path = strchr(line, '/');
		if (path && strstr(path, "/libaio") && strcmp(path, last) != 0)
			printf("%s", strcpy(last, path));
	}
	if (maps)
		fclose(maps);
}

static int descriptors(int io_urings)
{
	char name[PATH_MAX], to[64];
	struct dirent *entry;
	DIR *folder = opendir("/proc/self/fd");
	int count = 0;

	while (folder && (entry = readdir(folder))) {
		ssize_t length;

		snprintf(name, sizeof(name), "/proc/self/fd/%s", entry->d_name);
		length = readlink(name, to, sizeof(to) - 1);
		if (length < 0 || atoi(entry->d_name) == dirfd(folder))
			continue;
		to[length] = 0;
		count += io_urings ? !strcmp(to, "anon_inode:[io_uring]") : atoi(entry->d_name) > 2;
	}
	if (folder)
		closedir(folder);
	return count;
}

static void tell_engine(void)
{
	struct timespec no_time = { 0, 0 };
	struct io_event event;
	io_context_t ctx = 0;
	int error = io_setup(1, &ctx);

	/* Who makes contexts and takes no events would be served by the kernel's AIO. */
	if (error || (error = io_getevents(ctx, 0, 1, &event, &no_time)) != 0)
		printf("error %d\n", error);
	else
		puts(descriptors(1) ? "io_uring" : "kernel");
	io_destroy(ctx);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "library"))
			tell_file_of((void *)io_setup);
		else if (!strcmp(argv[i], "mapped"))
			tell_mapped();
		else if (!strncmp(argv[i], "by:", 3))
			tell_file_of(dlsym(dlopen(argv[i] + 3, RTLD_NOW), "io_setup"));
		else if (!strcmp(argv[i], "engine"))
			tell_engine();
		else if (!strncmp(argv[i], "env:", 4))
			printf("%s\n", getenv(argv[i] + 4) ? getenv(argv[i] + 4) : "(unset)");
		else if (!strcmp(argv[i], "name"))
			puts(argv[0]);
		else if (!strcmp(argv[i], "descriptors"))
			printf("%d\n", descriptors(0));
		else if (!strncmp(argv[i], "exit:", 5))
			return atoi(argv[i] + 5);
		else if (!strcmp(argv[i], "wait")) {
			fflush(stdout);
			for (;;)
				pause();
		} else if (!strcmp(argv[i], "rest"))
			while (++i < argc)
				printf("[%s]\n", argv[i]);
		else
			return 98;
	}
	return 0;
}
