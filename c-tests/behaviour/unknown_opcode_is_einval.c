/* io_submit refuses an operation that it does not know with -EINVAL; IO_CMD_NOOP is one. */
#define _GNU_SOURCE
#include "check.h"

int main(void)
{
	io_context_t ctx = new_context(1);
	int fd = new_file(64, 0);
	static const short opcodes[] = { IO_CMD_NOOP, 4, 9, 99, -1, 0x7fff };
	char buf[16];
	struct iocb cb, *list[1] = { &cb };

	for (int i = 0; i < 6; i++) {
		io_prep_pread(&cb, fd, buf, sizeof(buf), 0);
		cb.aio_lio_opcode = opcodes[i];
		printf("opcode %d: ", opcodes[i]);
		EXPECT("submit", io_submit(ctx, 1, list), -EINVAL);
	}
	return 0;
}
