/* io_setup wants a NULL in *ctxp and a count that is neither 0, negative nor huge; where it fails,
   *ctxp is as it was. */
#define _GNU_SOURCE
#include "check.h"

#include <limits.h>

int main(void)
{
	io_context_t ctx = NULL, other = (io_context_t)(uintptr_t)0x1234;

	EXPECT("0", io_setup(0, &ctx), -EINVAL);
	EXPECT("-1", io_setup(-1, &ctx), -EINVAL);
	EXPECT("INT_MAX", io_setup(INT_MAX, &ctx), -EINVAL);
	CHECK(ctx == NULL);
	EXPECT("not NULL", io_setup(1, &other), -EINVAL);
	CHECK(other == (io_context_t)(uintptr_t)0x1234);
	EXPECT("NULL pointer", io_setup(1, NULL), -EFAULT);
	EXPECT("1", io_setup(1, &ctx), 0);
	CHECK(ctx != NULL);
	other = ctx;
	EXPECT("in use", io_setup(1, &other), -EINVAL);
	CHECK(other == ctx);
	EXPECT("destroy", io_destroy(ctx), 0);
	return 0;
}
