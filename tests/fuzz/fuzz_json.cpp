// The monitor's JSON. Whatever the bytes, every split of them gives the same outcomes, values print and read
// back the same, and nothing crashes. The first byte chooses the size of the pieces.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "qmp/json_parser.h"
#include "qmp/json_printer.h"

namespace {

using godwit::qmp::JsonLimits;
using godwit::qmp::JsonParser;
using godwit::qmp::to_json_text;

constexpr JsonLimits limits{.text_bytes = 4096, .tokens = 512, .nesting = 64};

/// The text of the value that `text` holds; with the full limits, because escapes make a text longer.
std::string reprint(const std::string& text) {
  JsonParser parser;
  const std::string ended = text + "\n";
  std::string_view rest = ended;
  const auto outcome = parser.next(rest);
  if (!outcome || !*outcome) std::abort();
  return to_json_text(**outcome);
}

std::vector<std::string> parse(std::string_view text, std::size_t piece_size) {
  JsonParser parser(limits);
  std::vector<std::string> found;
  const auto collect = [&found](const JsonParser::Outcome& outcome) {
    found.push_back(outcome ? to_json_text(*outcome) : outcome.error().what());
    if (!outcome) return;
    const std::string once = reprint(found.back());  // a double -0 has become the integer 0
    if (reprint(once) != once) std::abort();
  };
  while (!text.empty()) {
    const std::string piece(text.substr(0, piece_size));
    text.remove_prefix(piece.size());
    std::string_view rest = piece;
    while (const auto outcome = parser.next(rest)) collect(*outcome);
  }
  if (const auto outcome = parser.finish()) collect(*outcome);
  if (!parser.idle()) std::abort();
  return found;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t piece_size = std::size_t{1} + (data[0] & 15);
  if (parse(text, piece_size) != parse(text, text.size() + 1)) std::abort();
  return 0;
}
