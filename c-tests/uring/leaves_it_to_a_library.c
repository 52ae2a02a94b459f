/* A program that has nothing to do with libaio but by a library that was loaded before
   (library_of_its_own_contexts.c): io_uring serves it, where that was asked for. */
#define _GNU_SOURCE
#include "check.h"

#include <dlfcn.h>

int main(void)
{
	const char *engine = getenv("LIBAIO_ENGINE");
	void (*use_a_context)(int);

	*(void **)&use_a_context = dlsym(RTLD_DEFAULT, "use_a_context");
	CHECK(use_a_context != NULL);
	use_a_context(engine != NULL && strcmp(engine, "io_uring") == 0);
	return 0;
}
