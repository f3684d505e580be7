// File header and configuration section.
#include "fuzz.h"
#include "wire/header.h"

using namespace godwit;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  SpanInput in(fuzz::bytes(data, size));
  if (const auto header = wire::decode_file_header(in); !header) {
    fuzz::expect_offset(header.error());
    return 0;
  }
  const auto configuration = wire::decode_configuration(in);
  if (!configuration) {
    fuzz::expect_offset(configuration.error());
    return 0;
  }
  Output out;
  wire::encode_configuration(out, *configuration);
  SpanInput again(out.data());
  fuzz::expect(wire::decode_configuration(again) == *configuration,
               "a configuration encodes to what was decoded");
  (void)wire::check_configuration(*configuration, {"none", {}, {"x-ignore-shared"}, {}});
  return 0;
}
