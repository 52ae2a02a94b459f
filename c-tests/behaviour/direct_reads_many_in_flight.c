/* file systems: ext4 */
/* 64 O_DIRECT reads in flight at once each bring their own block, in whatever order they end. */
#define _GNU_SOURCE
#include "check.h"

#define N 64

static _Alignas(4096) unsigned char buf[N][4096];

int main(void)
{
	io_context_t ctx = new_context(N);
	int fd = new_file(N * 4096, O_DIRECT);
	struct iocb cb[N], *list[N];
	struct io_event events[N];
	int seen[N] = { 0 };

	for (int i = 0; i < N; i++) {
		int block = (i * 29) % N;
		io_prep_pread(&cb[block], fd, buf[block], 4096, block * 4096LL);
		list[i] = &cb[block];
	}
	EXPECT("submit", io_submit(ctx, N, list), N);
	EXPECT("getevents", io_getevents(ctx, N, N, events, NULL), N);
	for (int i = 0; i < N; i++) {
		CHECK_EQ(events[i].res, 4096);
		seen[events[i].obj - cb]++;
	}
	for (int i = 0; i < N; i++)
		CHECK(seen[i] == 1 && is_file_data(buf[i], 4096, i * 4096));
	return 0;
}
