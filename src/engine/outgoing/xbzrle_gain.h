// Do deltas pay? Estimated from what they were worth lately. Plain arithmetic: no threads, no clock.
#pragma once

#include <cstdint>

namespace godwit::engine {

/// Looks at windows of pages. When what was sent for one is nearly as much as its pages, deltas step aside
/// for a while, then are tried again; the pauses grow as long as that fails.
class XbzrleGain {
 public:
  static constexpr std::uint64_t window_pages = 2048;
  /// Less than this share saved is not worth the copies and the search for changes.
  static constexpr double least_saved = 0.1;
  static constexpr std::uint64_t first_pause = 8 * window_pages;
  static constexpr std::uint64_t longest_pause = 256 * window_pages;

  /// Whether deltas are to be made for the next pages. Asked before each run of pages.
  bool pays() const { return pause_left_ == 0; }

  /// Pages went through the cache: so many were found there and cost `sent_bytes` in all; so many were not,
  /// because others had their places, and went whole. Pages that are merely new to the cache do not count:
  /// they have to come a second time to be found. True if deltas step aside from here on.
  bool made_deltas(std::uint64_t found, std::uint64_t sent_bytes, std::uint64_t crowded_out);

  /// Pages went past the cache. True if deltas are tried again from here on.
  bool stayed_aside(std::uint64_t pages);

 private:
  std::uint64_t pages_ = 0;  ///< of the window
  std::uint64_t sent_bytes_ = 0;
  std::uint64_t next_pause_ = first_pause;
  std::uint64_t pause_left_ = 0;  ///< pages
};

}  // namespace godwit::engine
