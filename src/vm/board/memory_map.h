// Where the guest sees its RAM, and the one way for everybody else to touch it by guest address.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "vm/accel/accelerator.h"

namespace godwit::vm {

/// Immutable after construction, so thread-safe.
class MemoryMap {
 public:
  MemoryMap() = default;
  /// Sorted by guest address, not overlapping.
  explicit MemoryMap(std::vector<RamSlot> slots);

  std::span<const RamSlot> slots() const { return slots_; }

  /// RAM from some guest address on.
  struct Piece {
    std::span<std::byte> bytes;  ///< to the end of the slot at most
    std::size_t block = 0;
    std::uint64_t block_offset = 0;
  };
  /// The RAM at an address, at most `length` bytes of it; nothing where there is none.
  std::optional<Piece> find(std::uint64_t guest_address, std::uint64_t length) const;

  /// What is not RAM reads as all ones.
  void read(std::uint64_t guest_address, std::span<std::byte> into) const;

  /// Ignores what is not RAM. Calls `written(piece)` after each piece of RAM that was written.
  template <typename F>
  void write(std::uint64_t guest_address, std::span<const std::byte> from, F written) const {
    walk(guest_address, from.size(), [&](std::uint64_t done, const Piece* piece, std::uint64_t count) {
      if (!piece) return;
      copy(piece->bytes, from.subspan(done, count));
      written(*piece);
    });
  }

 private:
  static void copy(std::span<std::byte> to, std::span<const std::byte> from);
  /// Calls step(bytes done so far, piece or null, bytes of this step) until `length` bytes are done. Bytes
  /// past the end of the address space belong to no RAM.
  template <typename F>
  void walk(std::uint64_t guest_address, std::uint64_t length, F step) const {
    for (std::uint64_t done = 0; done < length;) {
      const std::uint64_t address = guest_address + done;
      if (address < guest_address) return step(done, static_cast<const Piece*>(nullptr), length - done);
      if (const auto piece = find(address, length - done)) {
        step(done, &*piece, piece->bytes.size());
        done += piece->bytes.size();
      } else {
        const std::uint64_t gap = std::min(length - done, distance_to_ram(address));
        step(done, static_cast<const Piece*>(nullptr), gap);
        done += gap;
      }
    }
  }
  /// Bytes from an address that is not RAM to the next one that is.
  std::uint64_t distance_to_ram(std::uint64_t guest_address) const;

  std::vector<RamSlot> slots_;
};

/// The PC's RAM: `size` bytes of block 0 from address 0 on, but for the hole from 640 KiB to 1 MiB and the
/// pages of the interrupt controllers below 4 GiB. What is hidden stays part of the block.
std::vector<RamSlot> pc_memory_layout(std::byte* host, std::uint64_t size);

}  // namespace godwit::vm
