// The JSON description, and taking a section apart by it.
#include "fuzz.h"
#include "wire/description.h"

using namespace godwit;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto parsed = wire::parse_description({reinterpret_cast<const char*>(data), size});
  if (!parsed) return 0;
  for (const auto& device : parsed->devices) {
    if (device.state.length > 100'000) continue;
    const std::vector<std::byte> body(device.state.length);
    const auto split = wire::split_section(device.state, body);
    if (!split) continue;
    std::uint64_t end = 0;
    for (const auto& field : *split) {
      fuzz::expect(field.offset == end, "the pieces follow each other");
      end += field.size * field.array_length;
    }
    fuzz::expect(end == body.size(), "the pieces are the body");
  }
  return 0;
}
