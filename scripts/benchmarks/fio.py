"""One run of fio."""

import json
import os
import subprocess

from .libraries import environment
from .storage import Skip

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "10"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "1"))

PERCENTILES = {"p50_ns": "50.000000", "p99_ns": "99.000000", "p999_ns": "99.900000"}


def fio(arguments, library, variables):
    """The jobs of a run by their names, as fio reports them."""
    common = ["fio", "--thread", "--time_based", "--bs=4k", "--output-format=json"]
    run = subprocess.run(
        [*common, *arguments],
        check=False,
        capture_output=True,
        text=True,
        env=environment(library, variables),
    )
    # Our library's only line: it has not done what was to be measured.
    for line in run.stderr.splitlines():
        if line.startswith("libaio-rs: LIBAIO_"):
            raise Skip(line)
    if run.returncode != 0:
        raise SystemExit(f"error: fio has failed: {run.stderr}{run.stdout}")
    text = run.stdout
    return {job["jobname"]: job for job in json.loads(text[text.index("{") :])["jobs"]}


def times(latency):
    """The percentiles and the worst of one of fio's latencies."""
    percentiles = latency["percentile"]
    chosen = {name: percentiles[key] for name, key in PERCENTILES.items()}
    return chosen | {"max_ns": latency["max"]}
