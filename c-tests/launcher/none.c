/* A libaio that fails all, for want of the original under another SONAME. */
#include <errno.h>

#define FAILS(name)                                                                                \
	int name(void);                                                                            \
	int name(void)                                                                             \
	{                                                                                          \
		return -ENOSYS;                                                                    \
	}

FAILS(io_setup)
FAILS(io_destroy)
FAILS(io_getevents)
