/* Run with LIBAIO_SPIN_US=5000: a program whose waits are long sleeps through them. Counted in
   processor time, of which twenty waits that are watched for 5 ms each would take 100 ms. */
#define _GNU_SOURCE
#include "waits_in_vain.h"

int main(void)
{
	CHECK(busy_in(20, 50000000) < 50000000);
	return 0;
}
