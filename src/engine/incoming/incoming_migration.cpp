#include "engine/incoming/incoming_migration.h"

#include <utility>

#include "base/fail.h"
#include "base/log.h"
#include "base/thread.h"
#include "channel/channel_input.h"
#include "engine/incoming/stream_loader.h"

namespace godwit::engine {

IncomingMigration::IncomingMigration(IncomingContext context, std::unique_ptr<channel::Listener> listener)
    : context_(context), listener_(std::move(listener)) {
  thread_ = start_thread("incoming", [this](std::stop_token stop) { run(std::move(stop)); });
}

IncomingMigration::~IncomingMigration() {
  thread_.request_stop();
  {
    std::lock_guard lock(mutex_);
    if (listener_) listener_->close();
    if (channel_) channel_->shutdown();
  }
  thread_.join();
}

std::vector<channel::ListeningAddress> IncomingMigration::addresses() const {
  std::lock_guard lock(mutex_);
  return listener_ ? listener_->addresses() : std::vector<channel::ListeningAddress>{};
}

std::optional<std::string> IncomingMigration::error_text() const {
  std::lock_guard lock(mutex_);
  return error_text_;
}

void IncomingMigration::run(std::stop_token stop) {
  auto channel = listener_->accept();
  if (!channel && !stop.stop_requested() && !listener_->multi_channel()) {
    // A descriptor or command that gives nothing: nothing was loaded, so the machine goes on waiting to be
    // ended.
    log::error("{}", channel.error().explain());
    channel = listener_->accept();
  }
  if (!channel) {
    if (!stop.stop_requested()) fail_for_good(channel.error());
    return;
  }
  {
    std::lock_guard lock(mutex_);
    channel_ = *std::move(channel);
    if (stop.stop_requested()) return;
  }
  if (auto loaded = load(*channel_); !loaded) {
    if (!stop.stop_requested())
      fail_for_good(std::move(loaded).error().at(Side::destination, "loading the guest"));
    return;
  }
  std::unique_ptr<channel::Listener> listener;
  std::unique_ptr<channel::Channel> finished;
  {
    std::lock_guard lock(mutex_);
    listener = std::move(listener_);
    finished = std::move(channel_);
  }
  listener->close();
  context_.status.to(Status::active, Status::completed);
}

Result<> IncomingMigration::load(channel::Channel& channel) {
  channel::ChannelInput in(channel);
  // A descriptor is connected from the start, and a command runs from the start: what tells that a migration
  // begins is the first byte. An error shows again below.
  if (!listener_->multi_channel()) static_cast<void>(in.need(1));
  context_.status.to(Status::none, Status::active);
  StreamLoader::Reply reply;
  if (channel.two_way()) {
    reply = [&channel](const wire::ReturnMessage& message) {
      Output out;
      wire::encode_return_message(out, message);
      return channel.write(out.data());
    };
  }
  StreamLoader loader(context_.guest, context_.settings.capabilities(), context_.options, reply);
  auto loaded = loader.load(in);
  // The description comes before the guest starts only because the source may need the room in the socket;
  // what is wrong with it does not matter to the guest.
  if (loaded && context_.options.send_description)
    if (auto drained = loader.drain_description(in); !drained)
      log::warn("the stream's description: {}", drained.error().what());
  // Without a return path this is how the source learns that the guest stands still no more; it has given the
  // guest away for good, whatever comes of it. Just before the start and not after it, since a vCPU that
  // wakes may take the processor away from this thread, and from the one that waits at the source, for
  // milliseconds.
  if (!loader.return_path_open()) channel.shutdown();
  if (loaded) {
    ownership_.take_back();
    loaded = start_guest(loader.run_state());
  }
  if (loader.return_path_open()) {
    // The verdict. When it cannot be delivered the guest runs here all the same, and the source does not run
    // it.
    const std::uint32_t verdict = loaded ? 0 : 1;
    if (auto sent = reply(wire::Shut{verdict}); !sent)
      log::warn("the source did not take the verdict: {}", sent.error().what());
  }
  return loaded;
}

Result<> IncomingMigration::start_guest(RunState received) {
  if (received != RunState::running) return context_.guest.set_run_state(received);
  return context_.guest.set_run_state(context_.guest.autostart() ? RunState::running : RunState::paused);
}

void IncomingMigration::fail_for_good(const Error& error) {
  {
    std::lock_guard lock(mutex_);
    if (channel_) channel_->shutdown();
    error_text_ = error.what();
  }
  context_.status.to({Status::none, Status::active}, Status::failed);
  if (context_.exit_on_error)
    context_.observer.on_incoming_failed(error);
  else
    log::error("load of migration failed: {}", error.explain());
}

}  // namespace godwit::engine
