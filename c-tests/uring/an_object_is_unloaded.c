/* An object that has the library linked in (the argument) is loaded, used by two threads, and unloaded: then a
   fork, the end of a thread, and a signal that asked for a report, call nothing of it. */
#define _GNU_SOURCE
#include "uring.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>

static void (*uses_a_context)(void);
static int used, unloaded;

static void *uses_it(void *unused)
{
	eventfd_t one;

	(void)unused;
	uses_a_context();
	CHECK_EQ(eventfd_write(used, 1), 0);
	CHECK_EQ(eventfd_read(unloaded, &one), 0);
	return NULL;
}

int main(int argc, char **argv)
{
	for (int i = 0; i < 3; i++) {
		void *object = argc == 2 ? dlopen(argv[1], RTLD_NOW) : NULL;
		pthread_t thread;
		eventfd_t one;
		pid_t child;

		CHECK(object != NULL);
		*(void **)&uses_a_context = dlsym(object, "uses_a_context");
		CHECK(uses_a_context != NULL);
		used = eventfd(0, 0);
		unloaded = eventfd(0, 0);
		CHECK_EQ(pthread_create(&thread, NULL, uses_it, NULL), 0);
		CHECK_EQ(eventfd_read(used, &one), 0);
		uses_a_context();
		CHECK_EQ(dlclose(object), 0);
		CHECK(dlopen(argv[1], RTLD_NOW | RTLD_NOLOAD) == NULL);

		if (getenv("LIBAIO_STATS_SIGNAL"))
			CHECK_EQ(raise(SIGUSR1), 0);
		child = fork();
		CHECK(child >= 0);
		if (child == 0)
			_exit(0);
		succeeded(child);
		CHECK_EQ(eventfd_write(unloaded, 1), 0);
		CHECK_EQ(pthread_join(thread, NULL), 0);
	}
	return 0;
}
