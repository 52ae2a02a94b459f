/* A library that waits for a thread when it ends, as those that keep threads do; it knows nothing of libaio. */
#include <pthread.h>

static pthread_t thread;
static volatile int *stop;

void joins(pthread_t whom, volatile int *when)
{
	thread = whom;
	stop = when;
}

__attribute__((destructor)) static void ends(void)
{
	if (stop == NULL)
		return;
	*stop = 1;
	pthread_join(thread, NULL);
}
