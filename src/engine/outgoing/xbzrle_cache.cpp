#include "engine/outgoing/xbzrle_cache.h"

#include <bit>
#include <cassert>
#include <sys/mman.h>

#include "base/fail.h"

namespace godwit::engine {
namespace {

Result<Mapping> lazy_memory(std::uint64_t bytes) {
  return Mapping::map(bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

Result<std::pair<Mapping, Mapping>> memory_for(std::uint64_t bytes, std::uint64_t slot_bytes) {
  GODWIT_ASSIGN(Mapping versions, lazy_memory(bytes));
  GODWIT_ASSIGN(Mapping slots, lazy_memory(slot_bytes));
  return std::pair(std::move(versions), std::move(slots));
}

}  // namespace

Result<XbzrleCache> XbzrleCache::make(std::uint64_t bytes) {
  assert(bytes >= page_size && std::has_single_bit(bytes));
  auto memory = memory_for(bytes, bytes / page_size * sizeof(Slot));
  if (!memory)
    return fail(
        Error(fmt::format("No memory for an xbzrle cache of {} bytes: {}", bytes, memory.error().what()))
            .advise("set a smaller xbzrle-cache-size"));
  return XbzrleCache(std::move(memory->first), std::move(memory->second));
}

std::byte* XbzrleCache::find(std::uint64_t page, std::uint64_t pass) {
  Slot& slot = slot_of(page);
  if (slot.page_plus_1 != page + 1) return nullptr;
  slot.used = pass;
  return version_of(page);
}

std::byte* XbzrleCache::insert(std::uint64_t page, std::uint64_t pass) {
  Slot& slot = slot_of(page);
  if (taken(page) && slot.used + kept_passes > pass) return nullptr;
  slot = {page + 1, pass};
  return version_of(page);
}

void XbzrleCache::forget(std::uint64_t page) {
  Slot& slot = slot_of(page);
  if (slot.page_plus_1 == page + 1) slot = {};
}

}  // namespace godwit::engine
