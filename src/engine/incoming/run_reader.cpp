#include "engine/incoming/run_reader.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace godwit::engine {

RunReader::RunReader() : headers_(longest_read) {
  parts_.reserve(2 * longest_read + 1);
}

std::uint64_t RunReader::untouched_ahead(const Input& in, const DirtyBitmap& touched) const {
  const std::uint64_t first = next_offset_ / page_size;
  const std::uint64_t most = std::min({run_, longest_read, in.read_ahead_limit() / record_size,
                                       touched.pages() - std::min(first, touched.pages())});
  std::uint64_t count = 0;
  while (count < most && !touched.test(first + count)) ++count;
  return count < shortest_run ? 0 : count;
}

PageRange RunReader::expected(std::uint64_t block_pages) const {
  const std::uint64_t first = std::min(next_offset_ / page_size + longest_read, block_pages);
  return {first, std::min({run_ / 8, farthest_expected, block_pages - first})};
}

Result<> RunReader::read(Input& in, std::span<std::byte> body, const RamBlock& block, std::uint64_t count,
                         DirtyBitmap& touched) {
  assert(count > 0 && count <= longest_read);
  lay_out(body, block, count);
  // What is buffered is part of the body, or of the first header: pages_ahead() was asked with its size.
  const std::size_t buffered = in.buffered();
  assert(buffered < (body.empty() ? header_size : body.size()));
  GODWIT_TRY(in.read({static_cast<std::byte*>(parts_.front().iov_base), buffered}));
  consume(buffered);

  std::uint64_t body_left = body.size();
  std::uint64_t arrived = 0;  // bytes of the records ahead
  const auto add = [&](std::uint64_t bytes) {
    const std::uint64_t for_body = std::min(bytes, body_left);
    body_left -= for_body;
    arrived += bytes - for_body;
  };
  add(buffered);

  const std::uint64_t first_page = next_offset_ / page_size;
  bool ended = false;
  std::uint64_t confirmed = 0;  // records whose header came and is as expected
  while (body_left > 0 || arrived < count * record_size) {
    GODWIT_ASSIGN(const std::size_t got, in.read_ahead(std::span(parts_).subspan(first_part_)));
    ended = got == 0;
    if (ended) break;
    consume(got);
    add(got);
    const std::uint64_t whole_headers = (arrived + page_size) / record_size;
    while (confirmed < whole_headers && is_expected(confirmed)) ++confirmed;
    if (confirmed < whole_headers) break;
  }

  touched.set_range({first_page, confirmed});
  pages_in_place_ += confirmed;
  next_offset_ += confirmed * page_size;
  run_ += confirmed;
  if (arrived > confirmed * record_size) {
    put_back(in, block, confirmed, arrived);
  } else if (body_left > 0 || arrived < confirmed * record_size) {
    // The stream ends inside of a page. The input says so best.
    const iovec& rest = parts_[first_part_];
    return in.read({static_cast<std::byte*>(rest.iov_base), rest.iov_len});
  }
  // Between two pages and in a header it ends too early as well, and who asked would ask again.
  if (ended) GODWIT_TRY(in.need(in.buffered() + 1));
  return {};
}

void RunReader::lay_out(std::span<std::byte> body, const RamBlock& block, std::uint64_t count) {
  parts_.clear();
  first_part_ = 0;
  if (!body.empty()) parts_.push_back({body.data(), body.size()});
  for (std::uint64_t index = 0; index < count; ++index) {
    parts_.push_back({headers_[index].data(), header_size});
    parts_.push_back({block.host + next_offset_ + index * page_size, page_size});
  }
}

/// The next `count` bytes of the parts are there.
void RunReader::consume(std::size_t count) {
  while (count > 0) {
    iovec& part = parts_[first_part_];
    const std::size_t piece = std::min(count, part.iov_len);
    part.iov_base = static_cast<std::byte*>(part.iov_base) + piece;
    part.iov_len -= piece;
    count -= piece;
    if (part.iov_len == 0) ++first_part_;
  }
}

bool RunReader::is_expected(std::uint64_t index) const {
  Header expected;
  wire::encode_page_header(expected.data(), wire::PageKind::normal, next_offset_ + index * page_size, true,
                           {});
  return headers_[index] == expected;
}

/// Undoes everything from record `index` on, of which the bytes up to `arrived` came. next_offset_ is where
/// its page would have been.
void RunReader::put_back(Input& in, const RamBlock& block, std::uint64_t index, std::uint64_t arrived) {
  parts_.clear();
  std::byte* const pages = block.host + next_offset_;
  std::uint64_t in_pages = 0;
  std::uint64_t left = arrived - index * record_size;
  bytes_given_back_ += left;
  while (left > 0) {
    const std::uint64_t of_header = std::min(left, header_size);
    parts_.push_back({headers_[index++].data(), of_header});
    left -= of_header;
    const std::uint64_t of_page = std::min(left, page_size);
    if (of_page > 0) parts_.push_back({pages + in_pages, of_page});
    in_pages += of_page;
    left -= of_page;
  }
  in.give_back(parts_);
  std::memset(pages, 0, in_pages);
}

}  // namespace godwit::engine
