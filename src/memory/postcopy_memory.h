// The destination's memory while pages of it are still at the source: who touches a missing page waits, and
// pages are put in their place whole.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <godwit/dirty_bitmap.h>
#include <godwit/ram_block.h>
#include <godwit/result.h>

#include "memory/userfault.h"

namespace godwit::memory {

/// A thread waits for a page.
struct MissingPage {
  std::size_t block = 0;
  std::uint64_t offset = 0;  ///< bytes from the start of the block, a multiple of its host page size
  int thread_id = 0;         ///< the kernel's id of the thread, where thread ids were asked for; else 0
};

/// One thread at a time.
class PostcopyMemory {
 public:
  /// Can memory like this be the destination of a postcopy, on this kernel and with the rights of this
  /// process? The error says what is in the way.
  static Result<> check(std::span<const RamBlock> blocks);

  explicit PostcopyMemory(std::span<const RamBlock> blocks) : blocks_(blocks) {}
  ~PostcopyMemory() { stop(); }
  PostcopyMemory(const PostcopyMemory&) = delete;
  PostcopyMemory& operator=(const PostcopyMemory&) = delete;

  /// Drops all that the blocks hold and keeps the kernel from filling holes with huge pages. Before the first
  /// page arrives.
  Result<> prepare();

  /// From here on who touches a missing page waits. With `thread_ids`, faults say who it is.
  Result<> start(bool thread_ids);
  /// Whoever still waits goes on and finds zeros. The memory is ordinary again. Harmless when not started.
  void stop() noexcept;

  /// Readable when there is something for read_faults().
  int fd() const { return userfault_->fd(); }
  /// Takes faults that nobody has read yet, without waiting. Returns the used part of `into`.
  Result<std::span<MissingPage>> read_faults(std::span<MissingPage> into);

  /// Puts the host page at `offset` in its place and wakes who waits for it. False: it was there already, and
  /// is left as it is.
  Result<bool> place(std::size_t block, std::uint64_t offset, const std::byte* content);
  Result<bool> place_zeros(std::size_t block, std::uint64_t offset);

 private:
  std::optional<MissingPage> locate(std::uint64_t address) const;

  std::span<const RamBlock> blocks_;
  std::optional<Userfault> userfault_;
  std::vector<std::byte> zeros_;  ///< a huge page of them: userfaultfd has none to give
  bool prepared_ = false;
};

}  // namespace godwit::memory
