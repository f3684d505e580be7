#include "engine/outgoing/stream_writer.h"

namespace godwit::engine {

Result<> StreamWriter::write(std::span<const iovec> pages) {
  vector_.clear();
  std::uint64_t total = pending_.size();
  if (pending_.size() > 0)
    vector_.push_back(
        {const_cast<std::byte*>(pending_.data().data()), pending_.size()});  // iovec is not const-correct
  for (const iovec& page : pages) {
    vector_.push_back(page);
    total += page.iov_len;
  }
  if (total == 0) return {};
  GODWIT_TRY(channel_.write(vector_));
  pending_.clear();
  written_ += total;
  return {};
}

}  // namespace godwit::engine
