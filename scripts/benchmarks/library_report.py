"""The page's sections, and the chart, about the library on the kernel's AIO."""

import math
from html import escape

from . import engine_report
from .chart import LEFT, RIGHT, WIDTH, titled
from .numbers import duration, machine_line, table, thousands, times

# The groups of benches/libaio, and what they are called here.
CASES = {
    "1 ready": "io_getevents, 1 event ready",
    "16 ready": "io_getevents, 16 ready",
    "256 ready": "io_getevents, 256 ready",
    "empty, min_nr 0, NULL timeout": "empty, min_nr 0, NULL timeout",
    "empty, zero timeout": "empty, zero timeout",
    "two threads, reap": "two threads take events",
    "two threads, submit and reap": "two threads submit and take",
    "io_submit, cached read": "io_submit, one cached read",
    "io_setup and io_destroy": "io_setup and io_destroy",
}
WAYS = ("original", "ours", "bare")
MODES = ("blocking", "polling", "spinning")


def speedup(call):
    return call["original"]["median_ns"] / call["ours"]["median_ns"]


def call_rows(data):
    for case, name in CASES.items():
        call = data["calls"][case]
        yield [name, *(duration(call[way]["median_ns"]) for way in WAYS), times(speedup(call))]


def program_rows(data):
    for r in data["programs"]["results"]:
        original, ours = r["original"], r["ours"]
        iops = [thousands(original["iops"]), thousands(ours["iops"]), times(r["ratio"])]
        iops.append(" to ".join(times(q) for q in r["quartiles"]))
        p99 = [duration(original["p99_ns"]), duration(ours["p99_ns"])]
        yield [r["device"], str(r["depth"]), r["mode"], *iops, *p99]


def page(data):
    engine = engine_report.section(data["engine"]) if "engine" in data else ""
    programs = data["programs"]
    calls = table(["", "original", "ours", "bare", "original / ours"], call_rows(data))
    heads = ["device", "depth", "mode", "IOPS, original", "ours", "ours / original", "quartiles"]
    fio = table([*heads, "p99, original", "ours"], program_rows(data))
    return f"""<!-- Made by scripts/bench-report from benchmarks.json: do not edit. -->
# Benchmarks

Our library against Debian's ({data["original"]}), measured side by side on {data["date"]}:
{machine_line(data)}.

![Times as fast as Debian's libaio](benchmarks.svg)

Nanoseconds do not travel from one machine to another; ratios do better.

## One call

The wall time of one call: both libraries loaded into one process, and the same state of the ring
before each call. They take turns; shown is the median of the rounds, of which each is criterion's
median. *Bare* is the limit: for taking events, a loop inlined into the program that reads the ring
without any check or exclusion, one event after the other (for two threads: under a spin lock); for
the rest, the system call. The library copies many events at once, which can be faster than that
loop.

{calls}

- *empty*: nothing is ready, and the call is not to wait. With a zero timeout the original looks at
  the ring too, without excluding other threads, and makes no system call.
- *two threads* share a context; the time is that of one event, both threads together. They take
  events one at a time, or each submits a request and takes what there is.
- *io_submit* makes the same system call in all three, and does the read in it. *io_destroy* waits
  for the kernel, in all three.

## fio

{programs["fio"]}, 4 KiB random reads with O_DIRECT, run in alternation on the two libraries:
{programs["rounds"]} rounds of {programs["seconds"]} s for each. The ratio is the median of the
ratios within the rounds, with their quartiles, which say how much of it is noise; the rest are
medians of the rounds.

- *blocking*: fio waits until a read has completed (its default).
- *polling*: it asks again and again (`iodepth_batch_complete_min=0`).
- *spinning*: as blocking, but ours with `LIBAIO_SPIN_US={programs["spin_us"]}`, compared with the
  original's blocking.

{fio}

p99 is the completion latency (fio's *clat*: from the end of the submission until fio has the event)
that 99 % of the reads stay below.
{engine}
## Again

    make bench           # measures; needs root, and an otherwise idle machine for half an hour
    make bench-report    # makes this page

`make bench ONLY=io_uring` and `make bench-report ONLY=io_uring` do so for the io_uring engine
alone, and leave the other numbers as they are.

`BENCH_ROUNDS`, `BENCH_SECONDS` and `BENCH_FOLDER` (a folder on ext4) change the runs of fio. The
zram device is used where there is an unused one (`modprobe zram`).
"""


# ---- the chart --------------------------------------------------------------------------------


def draw_calls(chart, data):
    chart.text(24, chart.y, "One call", "head")
    chart.text(LEFT, chart.y, "logarithmic; the time of a call, original → ours", "muted")
    rows = []
    for case, name in CASES.items():
        ratio, call = speedup(data["calls"][case]), data["calls"][case]
        before, after = (duration(call[way]["median_ns"]) for way in ("original", "ours"))
        rows.append((name, [("faster" if ratio >= 1 else "slower", ratio, before, after)]))
    chart.logarithmic(rows)


def draw_programs(chart, data):
    """For each device and depth a bar for each mode, on a linear scale."""
    results = data["programs"]["results"]
    step = 0.5
    high = max(1.5, math.ceil(max(r["ratio"] for r in results) / step) * step)

    def place(ratio):
        return LEFT + (RIGHT - LEFT) * ratio / high

    height, pitch, gap = 12, 15, 10
    cases = list(dict.fromkeys((r["device"], r["depth"]) for r in results))
    chart.text(24, chart.y, "fio, 4 KiB random reads", "head")
    chart.names({mode: mode + ", against blocking" * (mode == "spinning") for mode in MODES})
    chart.text(WIDTH - 24, chart.y, "IOPS, original → ours", "muted", "end")
    top = chart.y + 12
    bottom = top + len(cases) * (len(MODES) * pitch + gap)
    chart.grid([step * i for i in range(round(high / step) + 1)], place, top, bottom)
    chart.y = top + gap / 2
    for device, depth in cases:
        bars = {r["mode"]: r for r in results if (r["device"], r["depth"]) == (device, depth)}
        middle = chart.y + pitch * len(MODES) / 2 + 2.5
        chart.text(LEFT - 10, middle, f"{escape(device)}, depth {depth}", anchor="end")
        for mode in MODES:
            r = bars[mode]
            chart.bar(place(0), place(r["ratio"]), height, mode)
            before, after = (thousands(r[way]["iops"]) for way in ("original", "ours"))
            chart.label(place(r["ratio"]), chart.y + 10.5, r["ratio"], before, after)
            chart.y += pitch
        chart.y += gap
    chart.y = bottom + 22


def svg(data):
    title = "Times as fast as Debian's libaio"
    chart = titled(title, data)
    draw_calls(chart, data)
    chart.y += 28
    draw_programs(chart, data)
    return chart.svg(title)
