// Sections by field tables. The first byte chooses the device, the second the version.
#include <algorithm>

#include "fuzz.h"
#include "wire/description.h"
#include "wire/test_stream.h"

using namespace godwit;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const auto names = wire::test::device_names();
  const auto name = names[data[0] % names.size()];
  const auto device = wire::test::make_device(name, 0);
  const auto& identity = device.section->identity();
  const std::uint32_t version =
      identity.minimum_version + data[1] % (identity.version - identity.minimum_version + 1);
  SpanInput in(fuzz::bytes(data + 2, size - 2));
  if (!device.section->load(in, version)) return 0;

  Output first;
  std::string state;
  fuzz::expect(device.section->save(first, state).has_value(), "what loads can be saved");
  wire::DescriptionWriter writer;
  writer.add_device(identity.name, 0, state);
  const auto description = wire::parse_description(std::move(writer).finish());
  fuzz::expect(description.has_value(), "a description can be read");
  fuzz::expect(description->devices[0].state.length == first.size(), "a description adds up");
  fuzz::expect(wire::split_section(description->devices[0].state, first.data()).has_value(),
               "a description splits");

  const auto copy = wire::test::make_device(name, 0);
  SpanInput again(first.data());
  fuzz::expect(copy.section->load(again, identity.version).has_value(), "what is saved can be loaded");
  fuzz::expect(again.offset() == first.size(), "a load reads all that was saved");
  Output second;
  std::string state_again;
  fuzz::expect(copy.section->save(second, state_again).has_value(), "what loads can be saved again");
  fuzz::expect(std::ranges::equal(first.data(), second.data()) && state == state_again,
               "a round trip changes nothing");
  return 0;
}
