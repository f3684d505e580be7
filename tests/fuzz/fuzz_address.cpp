// The URI of a migration. Both sides read the same out of it, and what is printed reads back to the same.
#include "channel/address.h"
#include "fuzz.h"

using namespace godwit;

namespace {

/// What to_string() says of an address: not how to look it up.
channel::Address spoken(channel::Address address) {
  if (auto* tcp = std::get_if<channel::Tcp>(&address)) *tcp = {.host = tcp->host, .port = tcp->port};
  return address;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view uri(reinterpret_cast<const char*>(data), size);
  const auto incoming = channel::parse_address(uri, channel::Direction::incoming);
  const auto outgoing = channel::parse_address(uri, channel::Direction::outgoing);
  fuzz::expect(incoming.has_value() == outgoing.has_value(), "an address is one in both directions", uri);
  if (!incoming) {
    fuzz::expect(!incoming.error().what().empty() && !outgoing.error().what().empty(), "an error has a text");
    return 0;
  }
  fuzz::expect(*incoming == *outgoing, "both directions read the same", uri);
  fuzz::expect(!(channel::supports_multiple_channels(*incoming) && channel::connects_at_once(*incoming)),
               "what has several channels has to wait for them", uri);
  const std::string printed = channel::to_string(*incoming);
  const auto again = channel::parse_address(printed, channel::Direction::incoming);
  fuzz::expect(again.has_value(), "what is printed is an address", printed);
  fuzz::expect(*again == spoken(*incoming), "what is printed is the same address", printed);
  return 0;
}
