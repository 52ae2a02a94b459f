/* 500 reads go in by few calls, and their events come out in parts of up to 64: each once, each
   with its own data and result. */
#define _GNU_SOURCE
#include "check.h"

#define N 500
#define SIZE 512

static struct iocb cb[N], *list[N];
static unsigned char buf[N][SIZE];
static int seen[N];

int main(void)
{
	io_context_t ctx = new_context(N);
	int fd = new_file(N * SIZE, 0);
	struct io_event events[64];
	int submitted = 0, reaped = 0;

	for (int i = 0; i < N; i++) {
		io_prep_pread(&cb[i], fd, buf[i], SIZE, (long long)i * SIZE);
		cb[i].data = &seen[i];
		list[i] = &cb[i];
	}
	while (submitted < N) {
		int n = io_submit(ctx, N - submitted, list + submitted);
		CHECK(n > 0);
		submitted += n;
	}
	while (reaped < N) {
		int n = io_getevents(ctx, 1, 64, events, NULL);
		CHECK(n >= 1 && n <= 64);
		for (int i = 0; i < n; i++) {
			long which = (long)(events[i].obj - cb);
			CHECK(events[i].data == &seen[which]);
			CHECK_EQ(events[i].res, SIZE);
			CHECK_EQ(events[i].res2, 0);
			CHECK_EQ(seen[which]++, 0);
		}
		reaped += n;
	}
	EXPECT("reaped", reaped, N);
	for (int i = 0; i < N; i++)
		CHECK(seen[i] == 1 && is_file_data(buf[i], SIZE, (size_t)i * SIZE));
	return 0;
}
