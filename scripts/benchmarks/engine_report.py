"""The page's section, and the chart, about the io_uring engine."""

import statistics

from .chart import WIDTH, titled
from .engines import iops_of, ratio, submit_of, title
from .numbers import duration, machine_line, table, thousands, times

# The groups of benches/libaio that have this engine beside the others, and their names here.
CALLS = {
    "io_uring: take": "io_getevents, 1 event ready",
    "io_uring: submit": "io_submit, one cached read",
    "io_uring: setup": "io_setup and io_destroy",
}
WAYS = ("original", "ours", "io_uring")
# The kinds of engines.py, and what they are called here.
KINDS = {"original": "original", "kernel": "ours, kernel", "io_uring": "ours, io_uring"}

READS = {
    "direct": "with O_DIRECT, which the kernel's AIO is made for. Requests of\n"
    "  io_uring are finished by the thread that submitted them, those of AIO wherever the device\n"
    "  is served. A loop device is served by a kernel thread: whether the scheduler gives it the\n"
    "  same processor or another decides more than the library (taskset, and the cpumask of the\n"
    "  workqueues, hold it)",
    "uncached": "the file is not in the page cache. The kernel's AIO reads in io_submit, one\n"
    "  request after the other, whatever the depth; io_uring has them all in flight",
    "cached": "the file is in the page cache, and both read it in io_submit: what is left is the\n"
    "  cost of the calls",
}
WRITES = {
    ("extending", False): "each write makes the file longer, as a log's do. With the kernel's AIO\n"
    "  io_submit waits for the journal, which fdatasync is at; with io_uring a worker does",
    ("extending", True): "the same with O_DIRECT, where the kernel's AIO does the whole write in\n"
    "  io_submit: FoundationDB's complaint",
    (
        "overwriting",
        False,
    ): "4 KiB at random places of a file that keeps its length: a copy to the\n"
    "  page cache, which seldom waits for anything. Look at p99.9 and the worst",
    ("overwriting", True): "the same with O_DIRECT, which both start in io_submit without waiting",
    (
        "half pages",
        False,
    ): "2 KiB at random places of a file that is not in the page cache: the\n"
    "  page is read first, with the kernel's AIO in io_submit",
}


def section(data):
    writes = [case for case in data["cases"] if case["what"] == "writes"]
    reads = [case for case in data["cases"] if case["what"] != "writes"]
    call_heads = ["", "original", "ours, kernel", "ours, io_uring", "original / io_uring"]
    device = writes[0]["device"] if writes else "ext4"
    length = f"{data['rounds']} rounds of {data['seconds']} s"
    return f"""
## The io_uring engine

`LIBAIO_ENGINE=io_uring` has our library make contexts of io_uring; programs stay as they are.
Measured on {data["date"]} against {data["original"]} (*original*) and against ours on the
kernel's AIO, all in one run: {machine_line(data)}.

![With io_uring: times as fast as Debian's libaio](benchmarks-io_uring.svg)

### One call

{table(call_heads, call_rows(data))}

The completions of `io_uring` are taken from its queue, without a system call. The cached read is
of a file in memory (memfd_create), which io_uring hands to a worker. To destroy a context takes
the kernel less time where it is an io_uring.

### Reads

{data["fio"]}, 4 KiB random reads, {length} for each kind; it submits one request with each
io_submit, and waits for completions. Ratios are to the original, the medians of those within the
rounds, with their quartiles; times are medians of the rounds, but *worst*: that is the longest
io_submit of all rounds.

{table(heads(reads), rows(reads))}

{meanings(READS, reads, lambda case: case["what"])}

### Writes beside fdatasync

Up to 32 writes in flight to a file on {device}, while another thread writes 4 KiB to the
same file and calls `fdatasync`, again and again. Two loads: as many writes as go (*full speed*),
where who submits faster leaves the other thread fewer turns; and {data["rate"]} a second (*paced*),
where all kinds have the same to do. Each run is {2 * data["seconds"]} s long.

{table(heads(writes), rows(writes))}

{meanings(WRITES, writes, lambda case: (case["does"], case["direct"]))}

Under io_uring a buffered write on ext4 is handed to a worker thread. That bounds the time of
io_submit, but the hand-over costs more than a copy to the page cache that does not wait.
{bare_section(data)}"""


def bare_section(data):
    if not data.get("bare"):
        return ""
    return f"""
### What is io_uring's

A small C program (`benches/bare.c`) reads and writes as fio does, through the original, through
ours on io_uring, and through an io_uring with no library (*bare*), in the mode that any thread may
wait on. What is between the original and *bare* is io_uring's; what is between *bare* and ours is
the library's. With O_DIRECT the program is held to one processor, and the thread of the kernel
that serves the loop device to the same one (*served here*) or the next (*served elsewhere*). Beside
writes another thread calls fdatasync.

{table(BARE_HEADS, bare_rows(data["bare"]))}
"""


BARE_KINDS = {"original": "original", "bare": "bare", "io_uring": "ours, io_uring"}
BARE_HEADS = [
    "",
    "engine",
    "IOPS",
    "ratio",
    "quartiles",
    "submit p99",
    "times shorter",
    "quartiles",
]


def bare_rows(cases):
    for case in cases:
        for kind, name in BARE_KINDS.items():
            measured = case["kinds"][kind]
            row = [label(case) if kind == "original" else "", name]
            row += [thousands(median(measured["iops"])), *ratios(case, kind, iops_of)]
            row += [duration(median(measured["submit"]["p99_ns"]))]
            yield row + ratios(case, kind, submit_of)


def call_rows(data):
    for case, name in CALLS.items():
        call = data["calls"][case]
        speedup = call["original"]["median_ns"] / call["io_uring"]["median_ns"]
        yield [name, *(duration(call[way]["median_ns"]) for way in WAYS), times(speedup)]


def has_syncs(cases):
    return bool(cases) and cases[0]["what"] == "writes"


def heads(cases):
    submit = ["io_submit p50", "p99", "p99.9", "worst", "p99, times shorter", "quartiles"]
    syncs = ["fdatasync/s"] if has_syncs(cases) else []
    return ["", "engine", "IOPS", "ratio", "quartiles", *submit, *syncs]


def rows(cases):
    """A row for each kind of each case."""
    for case in cases:
        for kind, name in KINDS.items():
            measured = case["kinds"][kind]
            row = [label(case) if kind == "original" else "", name]
            row += [thousands(median(measured["iops"])), *ratios(case, kind, iops_of)]
            submit = measured["submit"]
            row += [duration(median(submit[key])) for key in ("p50_ns", "p99_ns", "p999_ns")]
            row += [duration(max(submit["max_ns"])), *ratios(case, kind, submit_of)]
            yield row + ([f"{median(measured['syncs']):.0f}"] if has_syncs(cases) else [])


def median(numbers):
    return statistics.median(numbers)


def ratios(case, kind, of):
    if kind == "original":
        return ["", ""]
    low, middle, high = ratio(case, kind, of)
    return [times(middle), f"{times(low)} to {times(high)}"]


def meanings(texts, cases, key_of):
    """What the rows are about, one line for each that there is."""
    lines = {}
    for case in cases:
        if (key := key_of(case)) not in lines:
            name = (
                label(case).rsplit(", ", 1)[0].split(", ", 1 if case["what"] != "writes" else 0)[-1]
            )
            lines[key] = f"- *{name}*: {texts[key]}."
    return "\n".join(lines.values())


# ---- the chart --------------------------------------------------------------------------------


def bars(case, of, shown):
    """The bars of a case, for `Chart.logarithmic`."""
    for kind, style in (("kernel", "blocking"), ("io_uring", "faster")):
        before, after = (shown(case["kinds"][each]) for each in ("original", kind))
        yield style, ratio(case, kind, of)[1], before, after


def svg(data):
    name = "With io_uring: times as fast as Debian's libaio"
    chart = titled(name, data)

    def panel(heading, about, cases, of, shown):
        chart.text(24, chart.y, heading, "head")
        chart.names({"blocking": "ours, kernel", "faster": "ours, io_uring"})
        chart.text(WIDTH - 24, chart.y, about, "muted", "end")
        chart.logarithmic([(label(case), list(bars(case, of, shown))) for case in cases])
        chart.y += 28

    reads = [case for case in data["cases"] if case["what"] != "writes"]
    waits = [case for case in data["cases"] if case["what"] in ("uncached", "writes")]
    panel(
        "Reads: IOPS",
        "logarithmic; original → ours",
        reads,
        iops_of,
        lambda kind: thousands(median(kind["iops"])),
    )
    panel(
        "p99 of io_submit",
        "logarithmic, times shorter; original → ours",
        waits,
        submit_of,
        lambda kind: duration(median(kind["submit"]["p99_ns"])),
    )
    chart.y -= 28
    return chart.svg(name)


def label(case):
    """A case's name, short enough for the space left of the bars."""
    if case["what"] == "writes":
        return title(case).split(", ", 1)[1]
    device = case["device"].split()[0]
    return title(case).replace(case["device"], device, 1)
