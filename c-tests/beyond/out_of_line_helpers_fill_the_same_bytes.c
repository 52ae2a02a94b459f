/* The library exports each io_prep_*, io_set_callback and io_set_eventfd, and these make the same
   64 bytes of a request full of garbage as the inline ones, whatever the arguments. */
#define _GNU_SOURCE

/* The header's inline ones, under other names. */
#define io_prep_pread inline_prep_pread
#define io_prep_pwrite inline_prep_pwrite
#define io_prep_preadv inline_prep_preadv
#define io_prep_pwritev inline_prep_pwritev
#define io_prep_preadv2 inline_prep_preadv2
#define io_prep_pwritev2 inline_prep_pwritev2
#define io_prep_poll inline_prep_poll
#define io_prep_fsync inline_prep_fsync
#define io_prep_fdsync inline_prep_fdsync
#define io_set_eventfd inline_set_eventfd
#define io_set_callback inline_set_callback
#include "check.h"
#undef io_prep_pread
#undef io_prep_pwrite
#undef io_prep_preadv
#undef io_prep_pwritev
#undef io_prep_preadv2
#undef io_prep_pwritev2
#undef io_prep_poll
#undef io_prep_fsync
#undef io_prep_fdsync
#undef io_set_eventfd
#undef io_set_callback

#include <limits.h>

extern void io_prep_pread(struct iocb *, int, void *, size_t, long long);
extern void io_prep_pwrite(struct iocb *, int, void *, size_t, long long);
extern void io_prep_preadv(struct iocb *, int, const struct iovec *, int, long long);
extern void io_prep_pwritev(struct iocb *, int, const struct iovec *, int, long long);
extern void io_prep_preadv2(struct iocb *, int, const struct iovec *, int, long long, int);
extern void io_prep_pwritev2(struct iocb *, int, const struct iovec *, int, long long, int);
extern void io_prep_poll(struct iocb *, int, int);
extern void io_prep_fsync(struct iocb *, int);
extern void io_prep_fdsync(struct iocb *, int);
extern void io_set_eventfd(struct iocb *, int);
extern void io_set_callback(struct iocb *, io_callback_t);

static struct {
	struct iocb iocb;
	unsigned char behind[64];
} ours, theirs;

/* Makes both full of garbage, calls the exported and the inline one, and compares all bytes. */
#define SAME(name, ...)                                                                            \
	do {                                                                                       \
		memset(&ours, 0xa5, sizeof(ours));                                                 \
		memset(&theirs, 0xa5, sizeof(theirs));                                             \
		io_##name(&ours.iocb, __VA_ARGS__);                                                \
		inline_##name(&theirs.iocb, __VA_ARGS__);                                          \
		CHECK((void (*)(void))io_##name != (void (*)(void))inline_##name);                 \
		CHECK(memcmp(&ours, &theirs, sizeof(ours)) == 0);                                  \
	} while (0)

static const int ints[] = { 0, 1, -1, 7, 0x12345678, INT_MIN, INT_MAX };
static const size_t counts[] = { 0, 1, 4096, SIZE_MAX, SIZE_MAX / 2 + 1 };
static const long long offsets[] = { 0, 1, -1, 0x123456789abcdefLL, LLONG_MIN, LLONG_MAX };
static const uintptr_t addresses[] = { 0, 1, 0x1234, UINTPTR_MAX, UINTPTR_MAX / 2 + 1 };

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static void callback(io_context_t ctx, struct iocb *iocb, long res, long res2)
{
	(void)ctx;
	(void)iocb;
	(void)res;
	(void)res2;
}

static void compare_vectored(int fd, const struct iovec *iov, long long offset)
{
	for (size_t n = 0; n < LENGTH(ints); n++) {
		SAME(prep_preadv, fd, iov, ints[n], offset);
		SAME(prep_pwritev, fd, iov, ints[n], offset);
		for (size_t f = 0; f < LENGTH(ints); f++) {
			SAME(prep_preadv2, fd, iov, ints[n], offset, ints[f]);
			SAME(prep_pwritev2, fd, iov, ints[n], offset, ints[f]);
		}
	}
}

int main(void)
{
	for (size_t i = 0; i < LENGTH(ints); i++) {
		int fd = ints[i];

		SAME(prep_fsync, fd);
		SAME(prep_fdsync, fd);
		SAME(set_eventfd, fd);
		for (size_t j = 0; j < LENGTH(ints); j++)
			SAME(prep_poll, fd, ints[j]);
		for (size_t j = 0; j < LENGTH(addresses); j++)
			for (size_t k = 0; k < LENGTH(offsets); k++) {
				void *p = (void *)addresses[j];

				for (size_t n = 0; n < LENGTH(counts); n++) {
					SAME(prep_pread, fd, p, counts[n], offsets[k]);
					SAME(prep_pwrite, fd, p, counts[n], offsets[k]);
				}
				compare_vectored(fd, p, offsets[k]);
			}
	}
	SAME(set_callback, callback);
	SAME(set_callback, NULL);
	return 0;
}
