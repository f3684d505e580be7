// A file that is written or read at fixed places, by several threads at once: what mapped-ram needs besides
// the stream.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include <godwit/result.h>

#include "base/system.h"
#include "channel/address.h"
#include "channel/channel.h"

namespace godwit::channel {

/// The file of a channel. It has descriptors of its own, so the channel may be closed first; where the
/// channel stands is not changed. All methods may be called from any thread.
class PositionedFile {
 public:
  /// `direct`: pages go past the host's page cache; refused where the file system cannot do that for places
  /// that are multiples of page_size.
  static Result<std::unique_ptr<PositionedFile>> open(const Channel& channel, Direction direction,
                                                      bool direct);

  /// Where the channel stood when this was made: where its stream begins. Bytes from the start of the file,
  /// as are all offsets here.
  std::uint64_t start() const { return start_; }
  /// Where the channel stands now.
  Result<std::uint64_t> position() const;
  Result<std::uint64_t> size() const;

  /// Offset and length are multiples of page_size, and the memory is aligned to it.
  Result<> write_pages(std::uint64_t offset, std::span<const std::byte> pages);
  Result<> read_pages(std::uint64_t offset, std::span<std::byte> pages);

  /// Any bytes, through the page cache.
  Result<> write(std::uint64_t offset, std::span<const std::byte> bytes);

 private:
  PositionedFile(UniqueFd file, std::uint64_t start) : file_(std::move(file)), start_(start) {}
  Result<> open_direct(int access);
  int for_pages() const { return direct_ ? direct_.get() : file_.get(); }
  std::unexpected<Error> io_error(const char* what, std::uint64_t offset, int error_number) const;

  UniqueFd file_;    ///< the channel's open file, its position included
  UniqueFd direct_;  ///< the same file, opened once more; none: pages go through the page cache
  std::uint64_t start_;
};

}  // namespace godwit::channel
