// What the destination asks for on the return path, checked and turned into places in guest RAM (wire-format
// section 7.7).
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include <godwit/dirty_bitmap.h>
#include <godwit/ram_block.h>
#include <godwit/result.h>

#include "wire/return_path.h"

namespace godwit::engine {

/// Whole host pages of one block.
struct WantedPages {
  std::size_t block = 0;
  PageRange pages;
};

/// One per connection: a request may refer to the block of the one before.
class PageRequests {
 public:
  explicit PageRequests(std::span<const RamBlock> blocks) : blocks_(blocks) {}

  /// An error means that the peer does not know what it talks about: nothing it says can be trusted.
  Result<WantedPages> resolve(const wire::PageRequest& request);
  /// A connection begins.
  void forget() { last_.reset(); }

 private:
  std::span<const RamBlock> blocks_;
  std::optional<std::size_t> last_;
};

}  // namespace godwit::engine
