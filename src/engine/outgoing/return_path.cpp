#include "engine/outgoing/return_path.h"

#include <utility>
#include <variant>

#include "base/fail.h"
#include "base/thread.h"
#include "channel/channel_input.h"

namespace godwit::engine {

ReturnPath::ReturnPath(channel::Channel& channel)
    : channel_(channel), thread_(start_thread("return-path", [this](std::stop_token) { read_messages(); })) {}

Result<> ReturnPath::wait_for_pong(std::uint32_t value) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return last_pong_ == value || verdict_; });
  if (last_pong_ == value) return {};
  if (!*verdict_) return fail(verdict_->error());
  return fail("The destination could not load the guest and says so on the return path");
}

Result<bool> ReturnPath::wait_for_verdict() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return verdict_.has_value(); });
  return *verdict_;
}

void ReturnPath::read_messages() {
  channel::ChannelInput in(channel_, Input::window_limit);
  while (true) {
    auto message = wire::decode_return_message(in);
    if (!message)
      return finish(fail(std::move(message).error().in("return path").at(Side::source, "return path")));
    if (const auto* shut = std::get_if<wire::Shut>(&*message)) return finish(shut->status == 0);
    if (const auto* pong = std::get_if<wire::Pong>(&*message)) {
      std::lock_guard lock(mutex_);
      last_pong_ = pong->value;
      changed_.notify_all();
      continue;
    }
    return finish(fail("return path: {} is not expected in precopy", wire::name_of(*message)));
  }
}

void ReturnPath::finish(Result<bool> verdict) {
  std::lock_guard lock(mutex_);
  verdict_ = std::move(verdict);
  changed_.notify_all();
}

}  // namespace godwit::engine
