#include "vm/board/boot_sector.h"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/system.h"

namespace godwit::vm {

Result<Sector> read_boot_sector(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return system_error("cannot open the disk image '" + path + "'", errno);
  Sector sector;
  std::size_t done = 0;
  while (done < sector.size()) {
    const ssize_t got =
        ::pread(file.get(), sector.data() + done, sector.size() - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error("cannot read the disk image '" + path + "'", errno);
    if (got == 0)
      return fail("cannot boot from '{}': it has {} bytes, a boot sector has {}", path, done, sector_size);
    done += static_cast<std::size_t>(got);
  }
  if (sector[510] != std::byte{0x55} || sector[511] != std::byte{0xaa})
    return fail(
        "cannot boot from '{}': its first sector ends with {:02x} {:02x}, not with the boot signature 55 aa",
        path, static_cast<unsigned>(sector[510]), static_cast<unsigned>(sector[511]));
  return sector;
}

CpuState booting_cpu() {
  CpuState state = reset_cpu(0);
  state.cr0 = cr0_bit::extension_type;
  state.rip = boot_address;
  state.rflags = 0x202;
  state.registers = {};
  state.registers[rdx] = 0x80;
  state.registers[rsp] = 0x6f00;
  state.segments[cs].selector = 0;
  state.segments[cs].base = 0;
  state.idt = {0, 0, 0x3ff, 0};
  return state;
}

}  // namespace godwit::vm
