// Deltas: as a delta, and as what changes a page.
#include <algorithm>
#include <array>

#include "fuzz.h"
#include "wire/xbzrle.h"

using namespace godwit;

namespace {

using Page = std::array<std::byte, page_size>;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = fuzz::bytes(data, size);
  Page before;
  for (std::size_t i = 0; i < page_size; ++i) before[i] = static_cast<std::byte>(i / 3);
  Page after = before;
  if (const auto applied = wire::apply_xbzrle(bytes, after, 0); !applied) {
    fuzz::expect_offset(applied.error());
    // Some page all the same.
    for (std::size_t i = 0; i < std::min<std::size_t>(size, page_size); ++i) after[i] = bytes[i];
  }
  Page delta;
  Page other;
  const auto result = wire::encode_xbzrle(before.data(), after.data(), delta);
  const auto scalar = wire::encode_xbzrle_scalar(before.data(), after.data(), other);
  fuzz::expect(result == scalar &&
                   std::equal(delta.begin(), delta.begin() + static_cast<long>(result.size), other.begin()),
               "vectors encode as the scalar one");
  fuzz::expect((result.kind == wire::XbzrleDelta::Kind::unchanged) == (before == after),
               "only equal versions are unchanged");
  if (result.kind != wire::XbzrleDelta::Kind::encoded) return 0;
  Page page = before;
  fuzz::expect(wire::apply_xbzrle(std::span(delta).first(result.size), page, 0).has_value() && page == after,
               "a delta that was encoded makes the new page");
  return 0;
}
