#include "engine/outgoing/page_batch.h"

#include <cassert>

namespace godwit::engine {

void PageBatch::begin(const RamBlock& block, bool continued) {
  vector_.clear();
  block_ = &block;
  used_ = headers_start_ = 0;
  zero_pages_ = normal_pages_ = 0;
  continued_ = continued;
}

void PageBatch::add_zero(std::uint64_t page) {
  assert(pages() < capacity);
  used_ += wire::encode_zero_page(arena_.data() + used_, page * page_size, continued_, block_->name);
  continued_ = true;
  ++zero_pages_;
}

void PageBatch::add_normal(std::uint64_t page) {
  assert(pages() < capacity);
  used_ += wire::encode_page_header(arena_.data() + used_, wire::PageKind::normal, page * page_size,
                                    continued_, block_->name);
  continued_ = true;
  close_headers();
  vector_.push_back({block_->host + page * page_size, page_size});
  ++normal_pages_;
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
