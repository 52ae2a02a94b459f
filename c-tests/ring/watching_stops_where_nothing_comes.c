/* Run with LIBAIO_SPIN_US=5000: a program that asks again and again with a timeout shorter than that,
   and gets nothing, sleeps through its timeouts. Counted in processor time, of which watching would
   take all. */
#define _GNU_SOURCE
#include "waits_in_vain.h"

int main(void)
{
	CHECK(busy_in(200, 2000000) < 100 * 2000000);
	return 0;
}
