#include "engine/outgoing/return_path.h"

#include <utility>
#include <variant>

#include "base/fail.h"
#include "engine/greeting.h"

namespace godwit::engine {
namespace {

std::unexpected<Error> not_expected(const wire::ReturnMessage& message) {
  return fail("return path: {} is not expected in precopy", wire::name_of(message));
}

}  // namespace

Result<wire::ReturnMessage> ReturnPath::next() {
  auto message = wire::decode_return_message(in_);
  if (!message) return fail(std::move(message).error().in("return path").at(Side::source, "return path"));
  const auto* pong = std::get_if<wire::Pong>(&*message);
  peer_is_godwit_ |= pong && pong->value == hello_answer;
  return message;
}

Result<> ReturnPath::read_bitmap(DirtyBitmap& received) {
  auto read = wire::decode_received_bitmap(in_, received.words(), received.pages());
  if (!read) return fail(std::move(read).error().in("return path").at(Side::source, "return path"));
  return {};
}

Result<> ReturnPath::wait_for_pong(std::uint32_t value) {
  while (true) {
    GODWIT_ASSIGN(const wire::ReturnMessage message, next());
    if (const auto* pong = std::get_if<wire::Pong>(&message)) {
      if (pong->value == value) return {};
    } else if (std::holds_alternative<wire::Shut>(message)) {
      return fail("The destination could not load the guest and says so on the return path");
    } else {
      return not_expected(message);
    }
  }
}

Result<bool> ReturnPath::wait_for_verdict() {
  while (true) {
    GODWIT_ASSIGN(const wire::ReturnMessage message, next());
    if (const auto* shut = std::get_if<wire::Shut>(&message)) return shut->status == 0;
    if (!std::holds_alternative<wire::Pong>(message)) return not_expected(message);
  }
}

}  // namespace godwit::engine
