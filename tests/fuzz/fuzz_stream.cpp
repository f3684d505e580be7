// A whole stream. The same bytes in one piece and in small pieces must give the same.
#include "fuzz.h"
#include "wire/test_stream.h"

using namespace godwit;

namespace {

struct Outcome {
  std::string error;
  std::vector<std::byte> out;
};

Outcome walk(Input& in) {
  wire::test::Recoder recoder;
  const auto result = wire::StreamWalker(in, recoder).run();
  return {result ? "" : result.error().what(), {recoder.out.data().begin(), recoder.out.data().end()}};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = fuzz::bytes(data, size);
  SpanInput whole(bytes);
  wire::test::PiecewiseInput pieces(bytes, 1 + size % 61);
  const Outcome one = walk(whole);
  const Outcome many = walk(pieces);
  fuzz::expect(one.error == many.error, "the same error whatever the pieces", one.error + " / " + many.error);
  fuzz::expect(one.out == many.out, "the same values whatever the pieces");
  fuzz::expect(one.out.size() <= size + 1024, "nothing is made up");
  return 0;
}
