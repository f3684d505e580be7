#include "engine/outgoing/xbzrle_gain.h"

#include <algorithm>

#include <godwit/ram_block.h>

namespace godwit::engine {

bool XbzrleGain::made_deltas(std::uint64_t found, std::uint64_t sent_bytes, std::uint64_t crowded_out) {
  pages_ += found + crowded_out;
  sent_bytes_ += sent_bytes + crowded_out * page_size;
  if (pages_ < window_pages) return false;
  const auto raw = static_cast<double>(pages_ * page_size);
  const bool worth_it = static_cast<double>(sent_bytes_) <= (1 - least_saved) * raw;
  pages_ = sent_bytes_ = 0;
  if (worth_it) {
    next_pause_ = first_pause;
    return false;
  }
  pause_left_ = next_pause_;
  next_pause_ = std::min(2 * next_pause_, longest_pause);
  return true;
}

bool XbzrleGain::stayed_aside(std::uint64_t pages) {
  pause_left_ -= std::min(pages, pause_left_);
  return pause_left_ == 0;
}

}  // namespace godwit::engine
