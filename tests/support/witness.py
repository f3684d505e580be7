"""The witness guest (tests/data/witness/witness.S): one boot sector that rewrites memory for ever and checks itself."""
import os
import struct

import vm_process as vmm

PAGE, MIB = 4096, 1 << 20
BASE, INFO, B, M64 = 0x1000000, 0x9000, 0x9E3779B97F4A7C15, (1 << 64) - 1
PARAMETERS_AT = 0x1FE - 24


def image(path, fill_mib, hot_mib, words=1, ticks=0, gap_ticks=50000, kind=-1):
    with open(os.path.join(vmm.DATA, "witness", "witness.bin"), "rb") as f:
        data = bytearray(f.read())
    struct.pack_into("<iiiiii", data, PARAMETERS_AT, fill_mib * MIB // PAGE, hot_mib * MIB // PAGE, words, ticks,
                     gap_ticks, kind)
    with open(path, "wb") as f:
        f.write(data)
    return path


class Witness:
    """Reads the guest's records through qtest."""

    def __init__(self, machine, fill_mib, hot_mib):
        self.machine, self.fill_mib, self.hot_mib = machine, fill_mib, hot_mib

    def info(self):
        raw = self.machine.read(INFO, 64)
        iterations, _, passes = struct.unpack_from("<QQQ", raw)
        pages, errors = struct.unpack_from("<I", raw, 32)[0], struct.unpack_from("<I", raw, 40)[0]
        return {"iterations": iterations, "passes": passes, "pages": pages, "errors": errors, "command": raw[48]}

    def wait_progress(self, beyond, key="iterations", timeout=60):
        """Until the guest has done more than `beyond`. Each look is a round trip to the machine."""
        vmm.until(lambda: self.info()[key] > beyond, lambda: "the guest does more: %s" % self.info(), timeout)

    def check_static_pages(self):
        """The guest checks every page it does not rewrite; returns its count of words that were wrong, ever."""
        self.machine.write(INFO + 48, b"\x01")
        vmm.until(lambda: not self.info()["command"], lambda: "the guest ends its check: %s" % self.info())
        return self.info()["errors"]

    def hot_set_is_consistent(self):
        """With the guest stopped: a prefix of pass n, then pass n - 1, and every page says which page it is."""
        inverse, passes = pow(B, -1, 1 << 64), []
        hot = self.hot_mib * MIB // PAGE
        for at in range(0, hot, 256):
            data = self.machine.read(BASE + at * PAGE, min(256, hot - at) * PAGE)
            for i in range(0, len(data), PAGE):
                tag = struct.unpack_from("<Q", data, i)[0] * inverse & M64
                if tag & 0xFFFFFFFF != BASE + at * PAGE + i:
                    return False
                passes.append(tag >> 32)
        steps = sum(1 for a, b in zip(passes, passes[1:]) if a != b)
        return steps <= 1 and passes[0] - passes[-1] in (0, 1)
