/* The 64 bytes that each io_prep_* makes of a request that was full of garbage, printed, with
   arguments that show sign extension, and what io_set_eventfd and io_set_callback change. */
#define _GNU_SOURCE
#include "check.h"

#include <limits.h>
#include <sys/uio.h>

static struct iocb cb;

static void *at(uintptr_t address)
{
	return (void *)address;
}

/* Prints the request and fills it with garbage again. */
static void show(const char *name)
{
	const unsigned char *bytes = (const unsigned char *)&cb;

	printf("%s:", name);
	for (size_t i = 0; i < sizeof(cb); i++)
		printf(i % 8 ? "%02x" : " %02x", bytes[i]);
	printf("\n");
	memset(&cb, 0xee, sizeof(cb));
}

int main(void)
{
	CHECK_EQ(sizeof(cb), 64);
	memset(&cb, 0xee, sizeof(cb));
	io_prep_pread(&cb, 3, at(0x1234), 0x5678, 0x123456789abcLL);
	show("pread");
	io_prep_pread(&cb, -1, at(UINTPTR_MAX), SIZE_MAX, -1);
	show("pread");
	io_prep_pwrite(&cb, INT_MAX, at(0x1234), 1, LLONG_MIN);
	show("pwrite");
	io_prep_preadv(&cb, 4, at(0x1234), INT_MAX, LLONG_MAX);
	show("preadv");
	io_prep_preadv(&cb, INT_MIN, at(1), -1, -2);
	show("preadv");
	io_prep_pwritev(&cb, 5, at(0x1234), INT_MIN, 7);
	show("pwritev");
	io_prep_preadv2(&cb, 6, at(0x1234), 2, 9, RWF_NOWAIT | RWF_HIPRI);
	show("preadv2");
	io_prep_preadv2(&cb, 6, at(0x1234), -3, 9, -1);
	show("preadv2");
	io_prep_pwritev2(&cb, 7, at(0x1234), 3, -9, RWF_APPEND);
	show("pwritev2");
	io_prep_pwritev2(&cb, 7, at(0x1234), INT_MIN, -9, INT_MIN);
	show("pwritev2");
	io_prep_poll(&cb, 8, 0x12345678);
	show("poll");
	io_prep_poll(&cb, 8, -1);
	show("poll");
	io_prep_fsync(&cb, 9);
	show("fsync");
	io_prep_fdsync(&cb, -9);
	show("fdsync");
	io_prep_fsync(&cb, 9);
	io_set_eventfd(&cb, 77);
	show("eventfd");
	io_set_eventfd(&cb, -2);
	show("eventfd over garbage");
	io_set_callback(&cb, NULL);
	show("no callback");
	return 0;
}
