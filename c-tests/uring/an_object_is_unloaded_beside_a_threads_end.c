/* An object that has the library linked in (the argument) is unloaded where a thread ends that has submitted by it. */
#define _GNU_SOURCE
#include "uring.h"

#include <dlfcn.h>
#include <pthread.h>

static void (*begins)(void);
static int begun;

static void *submits(void *unused)
{
	begins();
	CHECK_EQ(eventfd_write(begun, 1), 0);
	return unused;
}

int main(int argc, char **argv)
{
	begun = eventfd(0, 0);
	for (int i = 0; i < 30; i++) {
		void *object = argc == 2 ? dlopen(argv[1], RTLD_NOW) : NULL;
		void (*finishes)(void);
		pthread_t thread;

		CHECK(object != NULL);
		*(void **)&begins = dlsym(object, "begins");
		*(void **)&finishes = dlsym(object, "finishes");
		CHECK(begins != NULL && finishes != NULL);
		CHECK_EQ(pthread_create(&thread, NULL, submits, NULL), 0);
		CHECK_EQ(eventfd_read(begun, &(eventfd_t){ 0 }), 0);
		finishes();
		CHECK_EQ(dlclose(object), 0);
		CHECK(dlopen(argv[1], RTLD_NOW | RTLD_NOLOAD) == NULL);
		CHECK_EQ(pthread_join(thread, NULL), 0);
	}
	return 0;
}
