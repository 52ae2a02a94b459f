"""Reads a file by asynchronous I/O from Python, with ctypes and the library's out-of-line helpers.

    helpers_from_python.py LIBRARY FILE
    helpers_from_python.py LIBRARY --bad-descriptor

There is no C here: the requests are opaque 64 bytes that io_prep_* fill in.
"""

import ctypes
import os
import select
import sys


class Event(ctypes.Structure):
    """struct io_event"""

    _fields_ = [
        ("data", ctypes.c_uint64),
        ("obj", ctypes.c_uint64),
        ("res", ctypes.c_int64),
        ("res2", ctypes.c_int64),
    ]


CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_long, ctypes.c_long)


class Aio:
    """A context, and requests one at a time."""

    def __init__(self, library):
        # use_errno: the library sets errno, so the exception can say what was wrong.
        self.lib = ctypes.CDLL(library, use_errno=True)
        self.context = ctypes.c_void_p()
        self.request = ctypes.create_string_buffer(64)
        self.checked(self.lib.io_setup(8, ctypes.byref(self.context)))

    def checked(self, answer):
        if answer < 0:
            number = ctypes.get_errno()
            assert number == -answer, (number, answer)
            raise OSError(number, os.strerror(number))
        return answer

    def submit(self):
        requests = (ctypes.c_void_p * 1)(ctypes.addressof(self.request))
        self.checked(self.lib.io_submit(self.context, 1, requests))

    def result(self):
        event = Event()
        taken = self.lib.io_getevents(self.context, 1, 1, ctypes.byref(event), None)
        assert self.checked(taken) == 1
        assert event.obj == ctypes.addressof(self.request)
        return event.res


def main():
    aio = Aio(sys.argv[1])
    lib = aio.lib
    if sys.argv[2] == "--bad-descriptor":
        lib.io_prep_fsync(aio.request, -1)
        aio.submit()
        return

    fd = os.open(sys.argv[2], os.O_RDWR)
    text = ctypes.create_string_buffer(64)
    lib.io_prep_pread(aio.request, fd, text, ctypes.c_size_t(64), ctypes.c_longlong(0))
    aio.submit()
    assert aio.result() == len(text.value)
    print(text.value.decode())

    lib.io_prep_fsync(aio.request, fd)
    aio.submit()
    print("fsync:", aio.result())

    # A poll of a descriptor that is ready, with a callback that io_queue_run calls.
    seen = []
    callback = CALLBACK(lambda ctx, request, res, res2: seen.append(res))
    reader, writer = os.pipe()
    os.write(writer, b"x")
    lib.io_prep_poll(aio.request, reader, select.POLLIN)
    lib.io_set_callback(aio.request, callback)
    aio.submit()
    while not seen:
        aio.checked(lib.io_queue_run(aio.context))
    print("callback:", hex(seen[0]))
    aio.checked(lib.io_destroy(aio.context))


main()
