// Whole streams of every kind through the inspector: whatever it is given, it comes to an end, says where it
// stopped, and what it shows is text and JSON.
#include "cli/inspect/json.h"
#include "cli/inspect/read.h"
#include "cli/inspect/text.h"
#include "fuzz.h"

using namespace godwit;
using namespace godwit::cli;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  SpanInput in(fuzz::bytes(data, size));
  inspect::CollectorOptions options;
  options.check_pages = size % 2 == 0;
  const auto found = inspect::read_stream(in, options, 0);
  fuzz::expect(found.bytes <= size, "no more is read than there is");
  if (!found.problem) fuzz::expect(found.bytes == size, "a whole stream is read to its last byte");
  inspect::TextOptions text;
  text.all_fields = true;
  fuzz::expect(!inspect::to_text(found, text).empty(), "something is shown");
  fuzz::expect(!boost::json::serialize(inspect::to_json(found)).empty(), "something is written");
  return 0;
}
