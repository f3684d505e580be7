#include "engine/outgoing/return_path.h"

#include <utility>
#include <variant>

#include "base/fail.h"
#include "base/log.h"
#include "base/thread.h"
#include "channel/channel_input.h"

namespace godwit::engine {

ReturnPath::ReturnPath(channel::Channel& channel)
    : channel_(channel), thread_(start_thread("return-path", [this](std::stop_token) { read_messages(); })) {}

Result<bool> ReturnPath::wait_for_verdict() {
  done_.wait();
  std::lock_guard lock(mutex_);
  return *verdict_;
}

void ReturnPath::read_messages() {
  channel::ChannelInput in(channel_, Input::window_limit);
  while (true) {
    auto message = wire::decode_return_message(in);
    if (!message) return finish(fail(std::move(message).error().in("return path").at(Side::source, "return path")));
    if (const auto* shut = std::get_if<wire::Shut>(&*message)) return finish(shut->status == 0);
    if (const auto* pong = std::get_if<wire::Pong>(&*message)) {
      log::debug("return path: PONG {}", pong->value);
      continue;
    }
    return finish(fail("return path: {} is not expected in precopy", wire::name_of(*message)));
  }
}

void ReturnPath::finish(Result<bool> verdict) {
  {
    std::lock_guard lock(mutex_);
    verdict_ = std::move(verdict);
  }
  done_.set();
}

}  // namespace godwit::engine
