"""The tables of docs/performance.md, from the results that bench/run keeps."""
import glob
import json
import os
import statistics

BEGIN, END = "<!-- written by bench/run -->", "<!-- end of what bench/run writes -->"
GODWIT_ONLY = ("mapped-ram-2g",)  # QEMU 7.2 does not know it


class Runs:
    """Completed runs by scenario and label."""

    def __init__(self, folder):
        self.all = []
        for path in sorted(glob.glob(os.path.join(folder, "*.*.jsonl"))):
            with open(path) as lines:
                self.all += [json.loads(line) for line in lines]

    def of(self, scenario, label):
        return [run for run in self.all if run["scenario"] == scenario and run["label"] == label]

    def values(self, scenario, label, key):
        taken = key if callable(key) else lambda run: run.get(key)
        return [taken(run) for run in self.of(scenario, label) if run.get("completed") and taken(run) is not None]


def number(value):
    return "%d" % round(value) if abs(value) >= 100 else "%.3g" % value


def wall_s(run):
    return run["wall_ms"] / 1000


def cpu_s(run):
    return run["cpu_src_s"] + run["cpu_dst_s"]


def restore_s(run):
    return run["restore_ms"] / 1000 if "restore_ms" in run else None


def source_extra_mib(run):
    return run["rss_src_mib"] - run["rss_src_before_mib"]


# Work, scenario, the figure, its unit, what it may be of QEMU's at most, and what to take where it is not the
# same scenario for both: Godwit's label and QEMU's scenario.
TARGETS = (
    ("noise, unix: time", "quiet-random-2g", wall_s, "s", 1 / 3),
    ("noise, unix: CPU, both sides", "quiet-random-2g", cpu_s, "s", 0.5),
    ("noise, tcp: time", "quiet-random-2g-tcp", wall_s, "s", 1 / 1.6),
    ("noise, tcp: CPU, both sides", "quiet-random-2g-tcp", cpu_s, "s", 0.5),
    ("noise, 2 channels: time", "multifd2-random-2g", wall_s, "s", 1 / 1.5),
    ("noise, 4 channels: time", "multifd4-random-2g", wall_s, "s", 1 / 1.5),
    ("8 GiB never touched: time", "quiet-zero-8g", wall_s, "s", 1 / 5),
    ("64 MiB rewritten without pause: blackout", "dirty-64m-max", "blackout_ms", "ms", 0.5),
    ("1 Gb/s, xbzrle: time", "stuck-xbzrle", wall_s, "s", 1),
    ("1 Gb/s, auto-converge: time", "stuck-autoconverge", wall_s, "s", 0.5),
    ("1 Gb/s, auto-converge: blackout", "stuck-autoconverge", "blackout_ms", "ms", 1),
    ("1 Gb/s, auto lanes, QEMU with xbzrle: time", "stuck", wall_s, "s", 1, "auto-lanes", "stuck-xbzrle"),
    ("text, zstd level 1, 2 channels: time", "zstd1-text-2g", wall_s, "s", 1 / 1.2),
    ("save: mapped-ram, QEMU with exec", "mapped-ram-2g", wall_s, "s", 0.5, "godwit", "exec-2g"),
    ("restore: mapped-ram, QEMU with exec", "mapped-ram-2g", restore_s, "s", 0.5, "godwit", "exec-2g"),
    ("peak memory of the source above that before", "quiet-random-2g", source_extra_mib, "MiB", None),
    ("the same, 4 channels", "multifd4-random-2g", source_extra_mib, "MiB", None),
    ("peak memory of the destination, 2 GiB touched", "quiet-random-2g", "rss_dst_mib", "MiB", 1),
    ("the same, 4 channels", "multifd4-random-2g", "rss_dst_mib", "MiB", 1),
)


def scenarios():
    """All that the tables need."""
    names = []
    for target in TARGETS:
        names.append("stuck-auto-lanes" if len(target) > 5 and target[5] == "auto-lanes" else target[1])
        if len(target) > 6 and target[6] != "stuck-xbzrle":
            names.append(target[6])
    return list(dict.fromkeys(names))


def spread(values):
    return "%s (%s to %s)" % tuple(map(number, (statistics.median(values), min(values), max(values)))) \
        if len(values) > 1 else number(values[0])


def side(runs, scenario, label, key, unit):
    values = runs.values(scenario, label, key)
    every = runs.of(scenario, label)
    if not values:
        return ("never in %d runs" % len(every) if every else "not measured"), None
    note = "" if len(values) == len(every) else ", %d of %d completed" % (len(values), len(every))
    return "%s %s%s" % (spread(values), unit, note), statistics.median(values)


def against_qemu(runs):
    lines = ["| what | Godwit | QEMU 7.2 | ratio | wanted |", "| --- | --- | --- | --- | --- |"]
    for what, scenario, key, unit, wanted, *other in TARGETS:
        label, theirs = other or ("godwit", scenario)
        ours, our_median = side(runs, scenario, label, key, unit)
        qemu, qemu_median = side(runs, theirs, "qemu", key, unit)
        ratio = ""
        if our_median is not None and qemu_median:
            ratio = "%.2f" % (our_median / qemu_median)
        missed = ratio and wanted is not None and our_median / qemu_median > wanted * 1.005
        wish = "" if wanted is None else "%.2f%s" % (wanted, ", missed" if missed else "")
        lines.append("| %s | %s | %s | %s | %s |" % (what, ours, qemu, ratio, wish))
    wrong = [run for run in runs.all if run.get("guest_errors") or run.get("sampled_pages_bad")
             or run.get("hot_set_consistent") is False]
    lines.append("\nRuns whose memory was checked afterwards and was wrong: %d of %d." %
                 (len(wrong), sum("guest_errors" in run or "sampled_pages_bad" in run for run in runs.all)))
    return "\n".join(lines)


def limit_values(folder):
    path = os.path.join(folder, "limits.jsonl")
    if not os.path.exists(path):
        return {}
    with open(path) as lines:
        rows = [json.loads(line) for line in lines]
    # A ceiling is what the machine could do once. CPU seconds are part of the names.
    return {row["name"].split(" [")[0]: max(row.get("runs") or [row["value"]]) for row in rows}


def share_of_limit(folder, runs):
    found = limit_values(folder)
    lines = ["| stream | Godwit, GB/s | limit, GB/s | share | wanted |", "| --- | --- | --- | --- | --- |"]
    for scenario, wanted, names in (
            ("quiet-random-2g", 0.6, ("unix, 1 stream, 1 MiB writes, reads in place",
                                      "unix, 1 stream, 1 MiB, 4 MiB socket buffers")),
            ("quiet-random-2g-tcp", 0.85, ("tcp, 1 stream, 1 MiB writes, reads in place",))):
        speeds = runs.values(scenario, "godwit", lambda run: run["sent_mib"] * 2 ** 20 / 1e9 / wall_s(run))
        best = max((found[name] for name in names if name in found), default=None)
        if not speeds or best is None:
            lines.append("| `%s` | not measured | | | %.2f |" % (scenario, wanted))
            continue
        share = statistics.median(speeds) / best
        lines.append("| `%s` | %s | %s | %.2f | %.2f%s |" % (
            scenario, spread(speeds), number(best), share, wanted, ", missed" if share < wanted else ""))
    return "\n".join(lines)


def micro(folder):
    lines = ["| benchmark | time | speed | of memcpy |", "| --- | --- | --- | --- |"]
    for path in sorted(glob.glob(os.path.join(folder, "*_bench.json"))):
        with open(path) as source:
            entries = [entry for entry in json.load(source)["benchmarks"] if "aggregate_name" not in entry]
        for name in dict.fromkeys(entry["run_name"] for entry in entries):
            each = [entry for entry in entries if entry["run_name"] == name]
            median = lambda key: statistics.median(entry[key] for entry in each)
            speed = ""
            if "bytes_per_second" in each[0]:
                speed = "%.3g GB/s" % (median("bytes_per_second") / 1e9)
            elif "items_per_second" in each[0]:
                speed = "%.3g million/s" % (median("items_per_second") / 1e6)
            share = "%.2f" % median("of_memcpy") if "of_memcpy" in each[0] else ""
            time = median("real_time" if name.endswith("/manual_time") else "cpu_time")
            lines.append("| `%s` | %.3g %s | %s | %s |" % (name, time, each[0]["time_unit"], speed, share))
    return "\n".join(lines)


def text(folder):
    runs = Runs(folder)
    return "\n\n".join((
        "### Against QEMU 7.2\n\nMedians, lowest and highest in brackets; below 1: Godwit needs less.",
        against_qemu(runs),
        "### Against what the machine can move\n\nThe limit is the best of three runs of `limits.py` with writes and "
        "reads of 1 MiB between two\nmemories that are there already; Godwit's destination gets its memory meanwhile.",
        share_of_limit(folder, runs),
        "### Micro benchmarks\n\nMedians; CPU time, or where the name says so what the benchmark itself measured. `read_memory` is the C library's `memchr`.",
        micro(folder)))


def write(document, tables):
    with open(document) as source:
        old = source.read()
    if old.count(BEGIN) != 1 or old.count(END) != 1:
        raise SystemExit("%s has no place for the tables: %s ... %s" % (document, BEGIN, END))
    head, tail = old.split(BEGIN)[0], old.split(END)[1]
    with open(document, "w") as out:
        out.write("%s%s\n\n%s\n\n%s%s" % (head, BEGIN, tables, END, tail))
