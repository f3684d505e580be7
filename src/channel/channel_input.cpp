#include "channel/channel_input.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace godwit::channel {

ChannelInput::ChannelInput(Channel& channel, std::size_t window, std::span<const std::byte> already_read)
    : channel_(channel),
      capacity_(std::max(window, window_limit)),
      window_(std::make_unique_for_overwrite<std::byte[]>(capacity_)) {
  assert(already_read.size() <= capacity_);
  at_ = window_.get();
  end_ = std::ranges::copy(already_read, window_.get()).out;
  window_end_offset_ = already_read.size();
}

Result<> ChannelInput::fill(std::size_t count) {
  assert(count <= window_limit);
  const auto kept = static_cast<std::size_t>(end_ - at_);
  if (kept != 0) std::memmove(window_.get(), at_, kept);
  at_ = window_.get();
  end_ = at_ + kept;
  while (static_cast<std::size_t>(end_ - at_) < count) {
    const auto used = static_cast<std::size_t>(end_ - at_);
    ++reads_;
    const std::size_t room = std::min(capacity_ - used, std::max(most_per_read_, count - used));
    GODWIT_ASSIGN(const std::size_t got, channel_.read({window_.get() + used, room}));
    if (got == 0) return ends_early(count);
    end_ += got;
    window_end_offset_ += got;
  }
  return {};
}

bool ChannelInput::fetch() {
  if (has_bytes()) return true;
  ++reads_;
  const std::size_t got = channel_.read_what_is_there({window_.get(), std::min(capacity_, most_per_read_)});
  at_ = window_.get();
  end_ = at_ + got;
  window_end_offset_ += got;
  return got != 0;
}

Result<std::size_t> ChannelInput::read_past_window(std::span<std::byte> into) {
  assert(at_ == end_ && !into.empty());
  const iovec parts[] = {{into.data(), into.size()}, {window_.get(), capacity_}};
  ++reads_;
  GODWIT_ASSIGN(const std::size_t got, channel_.read(parts));
  if (got == 0) return ends_early(into.size());
  const std::size_t placed = std::min(got, into.size());
  at_ = window_.get();
  end_ = at_ + (got - placed);
  window_end_offset_ += got - placed;  // the caller counts what was placed
  return placed;
}

Result<bool> ChannelInput::nothing_follows() {
  assert(at_ == end_);
  ++reads_;
  GODWIT_ASSIGN(const std::size_t got, channel_.read({window_.get(), capacity_}));
  at_ = window_.get();
  end_ = at_ + got;
  window_end_offset_ += got;
  return got == 0;
}

Result<std::size_t> ChannelInput::read_ahead(std::span<const iovec> parts) {
  assert(at_ == end_);
  ++reads_;
  GODWIT_ASSIGN(const std::size_t got, channel_.read(parts));
  window_end_offset_ += got;
  return got;
}

void ChannelInput::give_back(std::span<const iovec> parts) {
  assert(at_ == end_);
  std::byte* end = window_.get();
  for (const iovec& part : parts) {
    assert(part.iov_len <= capacity_ - static_cast<std::size_t>(end - window_.get()));
    std::memcpy(end, part.iov_base, part.iov_len);
    end += part.iov_len;
  }
  at_ = window_.get();
  end_ = end;  // window_end_offset_ counts them already
}

}  // namespace godwit::channel
