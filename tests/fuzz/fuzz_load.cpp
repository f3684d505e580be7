// The destination's whole path: a stream from nobody in particular is loaded into a guest.
#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/incoming/stream_loader.h"
#include "engine/testing/fake_guest.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit;
  static engine::testing::FakeGuest guest({{"m0", 64}, {"ram", 16, true}});
  guest.machine = "none";
  engine::Capabilities capabilities;
  capabilities.set(engine::Capability::x_ignore_shared, size % 2 == 1);
  const MigrationOptions options{.send_configuration = size % 3 != 0, .send_section_footer = size % 5 != 0};
  engine::StreamLoader loader(guest, capabilities, options,
                              [](const wire::ReturnMessage&) -> Result<> { return {}; });
  SpanInput in(std::as_bytes(std::span(data, size)));
  if (loader.load(in)) (void)loader.drain_description(in);
  return 0;
}
