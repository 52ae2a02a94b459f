"""Numbers as text, and tables."""


def duration(ns):
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3), ("ns", 1.0)):
        if ns >= size or unit == "ns":
            break
    n = ns / size
    digits = 0 if n >= 100 else 1 if n >= 10 else 2
    return f"{n:.{digits}f} {unit}"


def thousands(n):
    return f"{n / 1000:.0f} k" if n >= 100_000 else f"{n / 1000:.1f} k"


def times(ratio):
    digits = 0 if ratio >= 20 else 1 if ratio >= 10 else 2
    return f"×{ratio:.{digits}f}"


def machine_line(data):
    machine = data["machine"]
    hypervisor = f" ({machine['hypervisor']} guest)" if machine["hypervisor"] else ""
    return f"{machine['cpu']}, {machine['cores']} cores{hypervisor}, {machine['kernel']}"


def table(heads, rows):
    texts = ("", "device", "mode")  # the rest are numbers, aligned right
    lines = [heads, ["---" if head in texts else "---:" for head in heads], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
