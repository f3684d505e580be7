#!/usr/bin/env python3
"""Compares the schema with what QEMU 7.2 says of itself. Exit status 77: there is no such QEMU here."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

SCHEMA = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(SCHEMA))

from generator import builder, emit_introspection, parser  # noqa: E402

SKIPPED = 77
QEMU = "qemu-system-x86_64"

# What is different on purpose. Members and values that only Godwit has, or that came with later versions; commands the
# peer no longer has, or has for more cases than a Godwit can meet.
OURS = {"x-postcopy-timeout", "x-postcopy-auto-recover", "x-auto-lanes", "dirty-limit", "mapped-ram",
        "x-vcpu-dirty-limit-period", "vcpu-dirty-limit", "zero-page-detection", "direct-io",
        "dirty-limit-throttle-time-per-round"}
GONE_IN_PEER = {"migrate_set_downtime", "migrate_set_speed", "migrate-set-cache-size", "query-migrate-cache-size",
                "query-events"}
# Members that came with later versions.
NEWER = {"migrate": {"channels"}, "migrate-incoming": {"channels", "exit-on-error"}}
NARROWER = {
    "object-add": "the types of objects that can be made here",
    "query-cpus-fast": "one architecture",
    "human-monitor-command": "no snapshots on named nodes, so without the peer's note that they work",
    "query-block": "no throttling bursts, no chain of images, no snapshots",
}


def ask_peer():
    """The peer's answer to query-qmp-schema."""
    process = subprocess.Popen([QEMU, "-M", "none", "-nodefaults", "-display", "none", "-qmp", "stdio"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        process.stdout.readline()
        for command in ("qmp_capabilities", "query-qmp-schema"):
            process.stdin.write(json.dumps({"execute": command}) + "\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
        process.stdin.write('{"execute": "quit"}\n')
        process.stdin.flush()
        process.stdout.read()
    return answer["return"]


class Tree:
    """Types without their numbers, so that two schemas can be compared."""

    def __init__(self, entries):
        self.entries = {entry["name"]: entry for entry in entries}

    def of(self, name):
        entry = {key: value for key, value in self.entries[name].items() if key != "name"}
        kind = entry["meta-type"]
        if kind == "builtin":
            return name
        if kind == "array":
            return [self.of(entry["element-type"])]
        if kind == "alternate":
            return {"alternate": sorted(str(self.of(member["type"])) for member in entry["members"])}
        if kind == "enum":
            entry["values"] = [value for value in entry["values"] if value not in OURS]
            entry["members"] = [member for member in entry["members"] if member["name"] not in OURS]
        if kind == "object":
            entry["members"] = {member["name"]: dict(member, type=self.of(member["type"])) for member in entry["members"]}
            if "variants" in entry:
                entry["variants"] = {case["case"]: self.of(case["type"]) for case in entry["variants"]}
        for key in ("arg-type", "ret-type"):
            if key in entry:
                entry[key] = self.of(entry[key])
        return entry


def first_difference(path, ours, theirs):
    if type(ours) is type(theirs) and isinstance(ours, dict):
        for key in sorted(set(ours) | set(theirs)):
            if key not in ours:
                return f"{path}.{key}: missing here"
            if key not in theirs and key not in OURS:
                return f"{path}.{key}: unknown to the peer"
            if key not in theirs:
                continue
            found = first_difference(f"{path}.{key}", ours[key], theirs[key])
            if found:
                return found
        return None
    if type(ours) is type(theirs) and isinstance(ours, list) and len(ours) == len(theirs):
        return next(filter(None, (first_difference(f"{path}[{number}]", *pair)
                                  for number, pair in enumerate(zip(ours, theirs)))), None)
    return None if ours == theirs else f"{path}: here {json.dumps(ours)}, peer {json.dumps(theirs)}"


def main():
    if shutil.which(QEMU) is None:
        print(f"SKIPPED: no {QEMU} to compare with")
        return SKIPPED
    version = subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=True).stdout
    if not re.search(r"version 7\.2\b", version):
        print("SKIPPED: the schema is that of QEMU 7.2, found " + version.splitlines()[0])
        return SKIPPED
    ours = emit_introspection.entries(builder.build(parser.parse_schema(SCHEMA / "schema.json")))
    theirs = ask_peer()
    our_tree, their_tree = Tree(ours), Tree(theirs)
    failures, compared = [], 0
    for entry in ours:
        name = entry["name"]
        if entry["meta-type"] not in ("command", "event") or name in NARROWER:
            continue
        if name not in their_tree.entries:
            if name not in GONE_IN_PEER:
                failures.append(f"{name}: unknown to the peer")
            continue
        compared += 1
        here = our_tree.of(name)
        for member in NEWER.get(name, ()):
            del here["arg-type"]["members"][member]
        difference = first_difference(name, here, their_tree.of(name))
        if difference:
            failures.append(difference)
    print(f"{compared} commands and events compared")
    print("\n".join(failures))
    return 1 if failures or compared == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
