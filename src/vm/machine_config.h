// What the command line asks for, as values. The parser fills it, the machine is built from it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <godwit/guest.h>

namespace godwit::vm {

enum class MachineKind : std::uint8_t { none, pc, microvm };

/// What a migration of a microvm goes to, as far as that changes what is sent (x86-machine-state
/// section 3.6).
enum class Peer : std::uint8_t {
  unknown,     ///< what every peer takes
  kvm,         ///< with the kernel's clock in any case
  translator,  ///< QEMU's own: without the kernel's clock, x87 registers in physical order
};

/// -machine microvm,...
struct MicrovmOptions {
  bool pic = true;
  bool pit = true;
  std::optional<bool> rtc;  ///< unset: where the accelerator is not KVM
  bool serial = true;
  Peer peer = Peer::unknown;
};

/// One -accel, in the order given: the first that can be used is used.
struct AcceleratorRequest {
  std::string name;                   ///< kvm, tcg, qtest, or a name nobody knows (skipped)
  std::uint32_t dirty_ring_size = 0;  ///< entries per vCPU; 0: the dirty log
};

/// Where the RAM comes from (-m, -mem-path, -object memory-backend-*).
struct MemoryBackend {
  enum class Kind : std::uint8_t { anonymous, memfd, file };
  Kind kind = Kind::anonymous;
  std::string
      id;  ///< the object's id, empty when -m made it; names the RAM block of machine none and microvm
  std::uint64_t size = 0;  ///< bytes
  std::string path;        ///< kind file
  bool share = false;
  bool prealloc = false;
  bool dump = false;                 ///< include it in core dumps
  std::uint64_t huge_page_size = 0;  ///< bytes; kind memfd with hugetlb=on, 0: ordinary pages
};

/// What a transmitter sends to; called on vCPU threads. Either function may be empty.
struct SerialLine {
  std::function<void(std::uint8_t)> transmit{};
  /// False: the guest should wait with the next byte, until Machine::serial_line_ready().
  std::function<bool()> has_room{};
};

struct MachineConfig {
  MachineKind kind = MachineKind::pc;
  std::string machine_name = "pc";               ///< the name as resolved, sent in the stream
  bool suppress_description = false;             ///< -machine suppress-vmdesc=on
  std::vector<AcceleratorRequest> accelerators;  ///< empty: kvm, then tcg
  std::string cpu_model;                         ///< as given to -cpu; empty: the accelerator's own choice
  unsigned vcpus = 1;
  std::optional<MemoryBackend> memory;  ///< unset: a machine without RAM (none without -m)
  std::string bios;                     ///< path of the BIOS image; kind microvm
  MicrovmOptions microvm;
  std::string first_disk;  ///< path of the raw image whose first sector is booted; may be empty
  std::optional<Uuid> uuid;
  bool incoming = false;       ///< waits for a migration: starts in inmigrate
  bool start_stopped = false;  ///< -S
  bool lock_memory = false;    ///< -overcommit mem-lock=on
  SerialLine serial_line;      ///< COM1's
};

}  // namespace godwit::vm
