#include "vm/guest_memory.h"

#include <cerrno>
#include <sys/mman.h>
#include <utility>

namespace godwit::vm {
namespace {

constexpr std::uint64_t bios_top = std::uint64_t{4} << 30;

memory::RamOptions options_of(const MemoryBackend& backend) {
  using Kind = MemoryBackend::Kind;
  using memory::RamSource;
  memory::RamOptions options;
  options.source = backend.kind == Kind::anonymous ? RamSource::anonymous
                   : backend.kind == Kind::memfd   ? RamSource::memfd
                                                   : RamSource::file;
  options.size = backend.size;
  options.shared = backend.share;
  options.path = backend.path;
  options.huge_page_size = backend.huge_page_size;
  options.prealloc = backend.prealloc;
  options.dump = backend.dump;
  return options;
}

/// The same on both sides of a migration: a name that the user gave, or the board's own.
std::string block_name(const MachineConfig& config) {
  if (!config.memory->id.empty()) return config.memory->id;
  switch (config.kind) {
    case MachineKind::none:
      return "ram";
    case MachineKind::microvm:
      return "microvm.ram";
    case MachineKind::pc:
      break;
  }
  return "pc.ram";
}

}  // namespace

Result<GuestMemory> GuestMemory::create(const MachineConfig& config, std::uint64_t bios_size) {
  GuestMemory memory;
  if (!config.memory || config.memory->size == 0) return memory;
  GODWIT_ASSIGN(memory.ram_, memory::GuestRam::create(options_of(*config.memory)));
  if (config.lock_memory && ::mlock(memory.ram_->host(), memory.ram_->size()) < 0)
    return system_error("cannot lock the guest's memory", errno);
  memory.blocks_.push_back(memory.ram_->block(block_name(config)));
  if (bios_size == 0) return memory;
  GODWIT_ASSIGN(memory.bios_, memory::GuestRam::create({.size = bios_size, .transparent_huge_pages = false}));
  memory.blocks_.push_back(memory.bios_->block("pc.bios", bios_top - bios_size));
  return memory;
}

}  // namespace godwit::vm
