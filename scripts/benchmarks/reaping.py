"""Debian's library and ours on the kernel's AIO: reaping and waiting, with O_DIRECT reads."""

import statistics

from .fio import ROUNDS, SECONDS, fio, times
from .storage import SIZE_MIB, Skip, ext4, loop, zram

DEPTHS = [1, 32]
SPIN_US = 200

# One round: mode, library, variables.
VARIANTS = [
    ("blocking", "original", {}),
    ("blocking", "ours", {}),
    ("spinning", "ours", {"LIBAIO_SPIN_US": str(SPIN_US)}),
    ("polling", "original", {}),
    ("polling", "ours", {}),
]
# What ours is compared with, in each mode.
AGAINST = {"blocking": "blocking", "polling": "polling", "spinning": "blocking"}


def read(target, depth, mode, library, variables):
    polling = ["--iodepth_batch_complete_min=0"]
    # Without a maximum that is not the minimum, fio waits after each single submission.
    polling.append(f"--iodepth_batch_complete_max={depth}")
    arguments = [
        "--name=bench", "--ioengine=libaio", f"--filename={target}", "--readonly", "--rw=randread",
        "--direct=1", f"--size={SIZE_MIB}m", f"--iodepth={depth}", "--norandommap",
        f"--runtime={SECONDS}", *(polling if mode == "polling" else []),
    ]  # fmt: skip
    measured = fio(arguments, library, variables)["bench"]["read"]
    clat = times(measured["clat_ns"])
    return {"iops": round(measured["iops"]), "p50_ns": clat["p50_ns"], "p99_ns": clat["p99_ns"]}


def measure_device(name, target):
    runs = []
    for depth in DEPTHS:
        for number in range(1, ROUNDS + 1):
            first = number % len(VARIANTS)
            for mode, library, variables in VARIANTS[first:] + VARIANTS[:first]:
                measured = read(target, depth, mode, library, variables)
                run = {"device": name, "depth": depth, "mode": mode, "library": library}
                runs.append(run | {"round": number} | measured)
                print(
                    f"{name}, depth {depth}, {mode}, {library}: {measured['iops']} IOPS", flush=True
                )
    return runs


def summary(runs):
    """The medians of each device, depth and mode, ours beside the original's of the same round."""

    def rounds(**wanted):
        return [run for run in runs if wanted.items() <= run.items()]

    def medians(chosen):
        keys = ("iops", "p50_ns", "p99_ns")
        return {key: statistics.median(run[key] for run in chosen) for key in keys}

    results = []
    for device in dict.fromkeys(run["device"] for run in runs):
        for depth in DEPTHS:
            for mode, against in AGAINST.items():
                case = {"device": device, "depth": depth}
                original = rounds(**case, mode=against, library="original")
                ours = rounds(**case, mode=mode, library="ours")
                ratios = [b["iops"] / a["iops"] for a, b in zip(original, ours, strict=True)]
                low, ratio, high = statistics.quantiles(ratios, n=4, method="inclusive")
                results.append(
                    case
                    | {
                        "mode": mode,
                        "original": medians(original),
                        "ours": medians(ours),
                        "ratio": round(ratio, 3),
                        "quartiles": [round(low, 3), round(high, 3)],
                    }
                )
    return results


def measure():
    """The part of the record that this file makes."""
    runs, skipped = [], {}
    for device in (zram, loop, ext4):
        try:
            with device() as (name, target):
                runs += measure_device(name, target)
        except Skip as reason:
            skipped[device.__name__] = str(reason)
            print(f"{device.__name__}: left out, {reason}", flush=True)
    results = summary(runs)
    for r in results:
        iops = f"{r['original']['iops']:.0f} -> {r['ours']['iops']:.0f} IOPS"
        print(f"{r['device']}, depth {r['depth']}, {r['mode']}: {iops}, x{r['ratio']:.2f}")
    return {"spin_us": SPIN_US, "results": results, "runs": runs, "skipped": skipped}
