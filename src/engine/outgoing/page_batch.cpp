#include "engine/outgoing/page_batch.h"

#include <cassert>

namespace godwit::engine {

void PageBatch::begin(const RamBlock& block) {
  vector_.clear();
  block_ = &block;
  used_ = headers_start_ = 0;
  zero_pages_ = normal_pages_ = encoded_pages_ = 0;
}

void PageBatch::add_zero(std::uint64_t page) {
  assert(pages() < capacity);
  used_ += wire::encode_zero_page(arena_.data() + used_, page * page_size, !names_block(), block_->name);
  last_block_ = block_;
  ++zero_pages_;
}

void PageBatch::add_normal(std::uint64_t page, const std::byte* bytes) {
  add_header(page, wire::PageKind::normal);
  add_bytes(bytes, page_size);
  ++normal_pages_;
}

void PageBatch::add_encoded(std::uint64_t page, wire::PageKind kind, std::span<const std::byte> bytes) {
  add_header(page, kind);
  used_ += wire::encode_payload_length(arena_.data() + used_, kind, bytes.size());
  add_bytes(bytes.data(), bytes.size());
  ++encoded_pages_;
}

void PageBatch::add_header(std::uint64_t page, wire::PageKind kind) {
  assert(pages() < capacity);
  used_ +=
      wire::encode_page_header(arena_.data() + used_, kind, page * page_size, !names_block(), block_->name);
  last_block_ = block_;
}

void PageBatch::add_bytes(const std::byte* bytes, std::size_t count) {
  close_headers();
  vector_.push_back({const_cast<std::byte*>(bytes), count});  // iovec is not const-correct
}

Result<> PageBatch::write(StreamWriter& out) {
  close_headers();
  return out.write(vector_);
}

void PageBatch::close_headers() {
  if (headers_start_ < used_) vector_.push_back({arena_.data() + headers_start_, used_ - headers_start_});
  headers_start_ = used_;
}

}  // namespace godwit::engine
