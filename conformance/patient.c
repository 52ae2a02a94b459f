/* An io_getevents that waits for an event where it is given a time but min_nr 0. The kernel's does not
   wait then. Yet libaio's harness asks so, right after io_submit, and wants one event: buffered I/O of
   the kernel's AIO is complete by then, that of io_uring often is not.

   As a preload, or linked in statically with -DWRAPPED and -Wl,--wrap=io_getevents. */
#define _GNU_SOURCE
#include <libaio.h>

#include <dlfcn.h>
#include <stdlib.h>

#ifdef WRAPPED
int __real_io_getevents(io_context_t ctx, long min_nr, long nr, struct io_event *events,
                        struct timespec *timeout);
int __wrap_io_getevents(io_context_t ctx, long min_nr, long nr, struct io_event *events,
                        struct timespec *timeout);
#define PATIENT __wrap_io_getevents
#else
#define PATIENT io_getevents
#endif

int PATIENT(io_context_t ctx, long min_nr, long nr, struct io_event *events,
            struct timespec *timeout)
{
#ifdef WRAPPED
	int (*next)(io_context_t, long, long, struct io_event *, struct timespec *) =
		__real_io_getevents;
#else
	int (*next)(io_context_t, long, long, struct io_event *, struct timespec *);
	next = (int (*)(io_context_t, long, long, struct io_event *, struct timespec *))dlvsym(
		RTLD_NEXT, "io_getevents", "LIBAIO_0.4");
	if (!next)
		abort();
#endif
	if (min_nr == 0 && nr > 0 && timeout && (timeout->tv_sec || timeout->tv_nsec))
		min_nr = 1;
	return next(ctx, min_nr, nr, events, timeout);
}
