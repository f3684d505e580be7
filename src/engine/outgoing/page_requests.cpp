#include "engine/outgoing/page_requests.h"

#include <algorithm>

#include "base/fail.h"

namespace godwit::engine {

Result<WantedPages> PageRequests::resolve(const wire::PageRequest& request) {
  if (request.block) {
    const auto at = std::ranges::find(blocks_, *request.block, &RamBlock::name);
    if (at == blocks_.end())
      return fail("the destination asks for pages of RAM block '{}', which does not exist here",
                  *request.block);
    last_ = static_cast<std::size_t>(at - blocks_.begin());
  }
  if (!last_) return fail("the destination asks for pages of no RAM block");
  const RamBlock& block = blocks_[*last_];
  if (request.length == 0 || request.start % page_size != 0 || request.length % page_size != 0)
    return fail("the destination asks for 0x{:x} bytes at 0x{:x} of RAM block '{}': not whole pages",
                request.length, request.start, block.name);
  if (request.start >= block.size || request.length > block.size - request.start)
    return fail("the destination asks for 0x{:x} bytes at 0x{:x} of RAM block '{}', which has 0x{:x} bytes",
                request.length, request.start, block.name, block.size);
  // A huge page is placed whole, so it is sent whole.
  const std::uint64_t step = block.host_page_size;
  const std::uint64_t start = request.start / step * step;
  const std::uint64_t end = std::min(block.size, (request.start + request.length + step - 1) / step * step);
  return WantedPages{.block = *last_, .pages = {start / page_size, (end - start) / page_size}};
}

}  // namespace godwit::engine
