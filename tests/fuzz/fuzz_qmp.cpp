// A client of the monitor, without its socket: whatever the bytes and their pieces, the same lines come back,
// and each is one JSON object. The first byte chooses the size of the pieces.
#include <boost/json.hpp>

#include "fuzz.h"
#include "qmp/session.h"
#include "qmp/testing/fake_commands.h"

using namespace godwit;

namespace {

std::string converse(const qmp::CommandTable& commands, std::string_view text, std::size_t piece_size) {
  auto store = std::make_shared<qmp::DescriptorStore>(std::make_shared<qmp::FdSets>());
  qmp::Session session(commands, std::move(store),
                       {.offer_oob = false, .limits = {.text_bytes = 4096, .tokens = 512, .nesting = 64}});
  std::string output;
  while (!text.empty()) {
    const std::string_view piece = text.substr(0, piece_size);
    text.remove_prefix(piece.size());
    session.receive(piece, {});
    // Null does not mean that there is nothing more: it refuses a limited number of requests in a turn.
    while (session.has_in_band()) {
      if (auto call = session.next_in_band()) {
        call->run();
        session.complete(std::move(*call));
      }
    }
    fuzz::expect(session.idle(), "nothing waits once everything ran");
    output += session.take_output();
  }
  return output;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  static const qmp::CommandTable commands = [] {
    qmp::CommandTable table;
    qmp::testing::add_fake_machine(table);
    return table;
  }();
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string one = converse(commands, text, text.size() + 1);
  const std::string many = converse(commands, text, std::size_t{1} + (data[0] & 31));
  fuzz::expect(one == many, "the same replies whatever the pieces", one + " / " + many);
  for (std::string_view rest = one; !rest.empty();) {
    const auto end = rest.find("\r\n");
    fuzz::expect(end != std::string_view::npos, "replies are lines", rest);
    boost::system::error_code problem;
    const auto reply = boost::json::parse(rest.substr(0, end), problem);
    fuzz::expect(!problem && reply.is_object(), "a reply is an object", rest.substr(0, end));
    rest.remove_prefix(end + 2);
  }
  return 0;
}
