"""A program on the `libaio` package of PyPI: writes, reads back, polls and cancels through it.

    with_python.py FILE

Runs in a Python that has the package. Prints what came of each request; the rest is up to the test.
"""

import os
import select
import sys

import libaio

BLOCK = 4096
BLOCKS = 64


def content(number: int) -> bytes:
    return bytes((number * 7 + at) % 251 for at in range(BLOCK))


def completed(context, blocks: list, eventfd) -> dict:
    """Submits them and takes their events, woken by the eventfd; results by request."""
    context.submit(blocks)
    results, poll = {}, select.epoll()
    poll.register(eventfd, select.EPOLLIN)
    while len(results) < len(blocks):
        assert poll.poll(10), "no notification within ten seconds"
        eventfd.read()
        for block, result, result2 in context.getEvents(min_nr=0, timeout=0):
            assert block not in results and result2 == 0
            results[block] = result
    poll.close()
    return results


def main():
    file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
    eventfd = libaio.EventFD(flags=libaio.EFD_NONBLOCK)
    with libaio.AIOContext(BLOCKS) as context:
        for mode in (libaio.AIOBLOCK_MODE_WRITE, libaio.AIOBLOCK_MODE_READ):
            buffers = [bytearray(content(number)) for number in range(BLOCKS)]
            if mode == libaio.AIOBLOCK_MODE_READ:
                buffers = [bytearray(BLOCK) for _ in range(BLOCKS)]
            blocks = [
                libaio.AIOBlock(mode, file, [buffer], number * BLOCK, eventfd)
                for number, buffer in enumerate(buffers)
            ]
            print(sorted(completed(context, blocks, eventfd).values()))
        print(all(buffer == content(number) for number, buffer in enumerate(buffers)))

        bad = libaio.AIOBlock(libaio.AIOBLOCK_MODE_READ, file, [bytearray(8)], -4096)
        try:
            context.submit([bad])
        except OSError as error:
            print(error.errno)
    with open("/proc/self/maps") as maps:
        print(*sorted({line.split()[-1] for line in maps if "libaio.so" in line}))


main()
