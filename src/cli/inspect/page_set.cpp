#include "cli/inspect/page_set.h"

namespace godwit::cli::inspect {

PageSet::Chunk* PageSet::find(std::uint32_t block, std::uint64_t number) {
  // A page number has at most 52 bits, a chunk's 40; there are at most 4096 blocks.
  const Key key = std::uint64_t{block} << 40 | number;
  if (last_ != nullptr && key == last_key_) return last_;
  auto found = chunks_.find(key);
  if (found == chunks_.end()) {
    if (chunks_.size() == chunk_limit) {
      overflowed_ = true;
      return nullptr;
    }
    found = chunks_.emplace(key, Chunk{}).first;
  }
  last_key_ = key;
  last_ = &found->second;  // elements of an unordered_map stay where they are
  return last_;
}

}  // namespace godwit::cli::inspect
