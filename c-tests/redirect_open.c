/*
 * redirect_open.c - gives example.c a real file where it looks for /path/to/file
 *
 * Linked with -Wl,--wrap=open, so that it works in dynamic and in static programs, needs no
 * privilege, and leaves the root folder of the machine alone. Environment:
 *
 *   EXAMPLE_FILE   the file to open instead
 *   EXAMPLE_OPEN   "direct" adds O_DIRECT, "write-only" opens for writing alone
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);

int __wrap_open(const char *path, int flags, ...)
{
	const char *file = getenv("EXAMPLE_FILE"), *how = getenv("EXAMPLE_OPEN");
	va_list arguments;
	mode_t mode = 0;

	if (flags & O_CREAT) {
		va_start(arguments, flags);
		mode = va_arg(arguments, mode_t);
		va_end(arguments);
	}
	if (strcmp(path, "/path/to/file") != 0 || file == NULL)
		return __real_open(path, flags, mode);
	if (how != NULL && strcmp(how, "direct") == 0)
		flags |= O_DIRECT;
	if (how != NULL && strcmp(how, "write-only") == 0)
		flags = (flags & ~O_ACCMODE) | O_WRONLY;
	return __real_open(file, flags, mode);
}
