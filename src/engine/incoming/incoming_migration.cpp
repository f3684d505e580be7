#include "engine/incoming/incoming_migration.h"

#include <utility>

#include "base/exhaustion.h"
#include "base/fail.h"
#include "base/log.h"
#include "base/thread.h"
#include "channel/channel_input.h"
#include "engine/incoming/start_guest.h"
#include "engine/incoming/stream_loader.h"
#include "engine/probes.h"

namespace godwit::engine {
namespace {

/// How long the guest stands still for a source that stalls behind the end of the stream.
constexpr Milliseconds kDescriptionPatience{1000};

}  // namespace

IncomingMigration::IncomingMigration(IncomingContext context, std::unique_ptr<channel::Listener> listener)
    : context_(context), listener_(std::move(listener)) {
  thread_ = start_thread("incoming", [this](std::stop_token) { run(); });
}

IncomingMigration::~IncomingMigration() {
  ending_ = true;
  listener_.end();
  {
    // Before the channel: a connection that breaks now is no news.
    std::lock_guard lock(mutex_);
    if (postcopy_) postcopy_->stop();
    if (multifd_) multifd_->shutdown();
    if (mapped_) mapped_->shutdown();
  }
  channel_.shutdown();
  thread_.join();
}

const Blocktime* IncomingMigration::blocktime() const {
  std::lock_guard lock(mutex_);
  return postcopy_ ? postcopy_->blocktime() : nullptr;
}

std::optional<std::string> IncomingMigration::error_text() const {
  std::lock_guard lock(mutex_);
  return error_text_;
}

Result<> IncomingMigration::accept_all() {
  auto channel = listener_.accept();
  if (!channel && !ending_ && !listener_.multi_channel()) {
    // A descriptor or command that gives nothing: nothing was loaded, so the machine goes on waiting to be
    // ended.
    log::error("{}", channel.error().explain());
    channel = listener_.accept();
  }
  if (!channel) return fail(std::move(channel).error());
  const bool mapped = context_.settings.has(Capability::mapped_ram);
  if (context_.settings.has(Capability::multifd) && !mapped) return accept_multifd(*std::move(channel));
  if (mapped) GODWIT_TRY(open_mapped(**channel));
  channel_.put(*std::move(channel), ending_);
  if (!context_.settings.has(Capability::postcopy_preempt)) return {};
  // The listener lets both in or none.
  GODWIT_ASSIGN(auto urgent, listener_.accept());
  urgent_channel_.put(std::move(urgent), ending_);
  return {};
}

void IncomingMigration::run() {
  const auto accepted = or_exhausted([this]() -> Result<> {
    GODWIT_TRY(accept_all());
    accepting_ = false;
    if (!ending_) turn_others_away();
    return {};
  });
  if (!accepted) {
    if (!ending_) with_reserve([&] { fail_for_good(accepted.error()); });
    return;
  }
  if (ending_) return;
  if (auto loaded = or_exhausted([this] { return load(*channel_.get()); }); !loaded) {
    reached(Probe::load_failed);
    const Error error = std::move(loaded).error().at(Side::destination, "loading the guest");
    if (!ending_) with_reserve([&] { fail_for_good(error); });
    return;
  }
  if (ending_) return;
  listener_.end();
  channel_.close();
  urgent_channel_.close();
  context_.status.to({Status::active, Status::postcopy_active}, Status::completed);
}

/// A source that takes this destination for another kind, with multifd for example, is to notice before it
/// hands its guest over. For postcopy a source may have to come back.
void IncomingMigration::turn_others_away() {
  if (listener_.multi_channel() && !context_.settings.has(Capability::postcopy_ram)) listener_.turn_away();
}

/// The main channel, and those of multifd: which one is which, they say themselves.
Result<> IncomingMigration::accept_multifd(std::unique_ptr<channel::Channel> first) {
  if (!listener_.multi_channel()) return fail("multifd is not supported by current protocol");
  const Parameters parameters = context_.settings.parameters();
  // A channel that breaks later does not close the door: after a switch to postcopy a source may come back.
  const auto end_waits = [this] {
    channel_.shutdown();
    if (accepting_) listener_.close();
  };
  {
    std::lock_guard lock(mutex_);
    multifd_ =
        std::make_unique<MultifdReceiver>(MultifdExpectation{.channels = parameters.multifd_channels,
                                                             .method = multifd_method(parameters),
                                                             .uuid = context_.guest.uuid().value_or(Uuid{}),
                                                             .patience = context_.arrival_patience},
                                          end_waits);
  }
  multifd_->add(std::move(first));
  for (unsigned accepted = 1; accepted < multifd_->connections(); ++accepted) {
    auto channel = listener_.accept();
    if (!channel) return fail(multifd_->error().value_or(channel.error()));
    multifd_->add(*std::move(channel));
  }
  GODWIT_ASSIGN(auto main, multifd_->wait_for_all());
  already_read_.assign(main.first_bytes.begin(), main.first_bytes.end());
  channel_.put(std::move(main.channel), ending_);
  if (auto broken = multifd_->error()) return fail(*std::move(broken));
  return {};
}

/// The file has all pages: the channels of multifd are only threads that read it.
Result<> IncomingMigration::open_mapped(const channel::Channel& channel) {
  const Parameters parameters = context_.settings.parameters();
  const unsigned threads = context_.settings.has(Capability::multifd) ? parameters.multifd_channels : 1;
  GODWIT_ASSIGN(auto reader, MappedRamReader::open(channel, threads, parameters.direct_io));
  std::lock_guard lock(mutex_);
  mapped_ = std::move(reader);
  return {};
}

Result<> IncomingMigration::load(channel::Channel& channel) {
  const Capabilities capabilities = context_.settings.capabilities();
  {
    std::lock_guard lock(mutex_);
    postcopy_ =
        std::make_unique<IncomingPostcopy>(context_, capabilities, channel_, urgent_channel_, listener_);
  }
  postcopy_->set_input(
      std::make_unique<channel::ChannelInput>(channel, channel::ChannelInput::default_window, already_read_));
  // A descriptor is connected from the start, and a command runs from the start: what tells that a migration
  // begins is the first byte. An error shows again below.
  if (!channel.multi_channel()) static_cast<void>(postcopy_->input().need(1));
  context_.status.to(Status::none, Status::active);
  StreamLoader::Reply reply;
  if (channel.two_way()) {
    reply = [this, &channel](const wire::ReturnMessage& message) -> Result<> {
      if (postcopy_->listening()) {
        postcopy_->send(message);
        return {};
      }
      Output out;
      wire::encode_return_message(out, message);
      return channel.write(out.data());
    };
  }
  StreamLoader loader(context_.guest, capabilities, context_.options, reply, postcopy_.get());
  auto loaded = or_exhausted([&] { return load_precopy_part(loader, capabilities); });
  if (multifd_) loaded = end_multifd(std::move(loaded));
  if (postcopy_->listening()) {
    loaded = finish_postcopy(std::move(loaded));
    if (multifd_) multifd_->close();
    return loaded;
  }
  return finish_precopy(loader, reply, std::move(loaded));
}

/// All of the stream but what postcopy brings later.
Result<> IncomingMigration::load_precopy_part(StreamLoader& loader, const Capabilities& capabilities) {
  if (capabilities.has(Capability::compress))
    loader.ram().accept_compressed(context_.settings.parameters().decompress_threads);
  if (mapped_) loader.ram().read_from(*mapped_);
  if (multifd_) {
    loader.ram().join(*multifd_);
    multifd_->start(loader.ram());
  }
  return loader.load(postcopy_->input());
}

/// Its threads use the loader no more.
Result<> IncomingMigration::end_multifd(Result<> loaded) {
  if (auto broken = multifd_->error(); broken && !loaded)
    loaded = fail(*std::move(broken));  // what came first
  if (postcopy_->listening())
    multifd_->no_more_pages();
  else
    multifd_->close();
  return loaded;
}

Result<> IncomingMigration::finish_precopy(StreamLoader& loader, const StreamLoader::Reply& reply,
                                           Result<> loaded) {
  // The description comes before the guest starts only because a source that cannot send it takes the guest
  // for failed; what is wrong with it does not matter to the guest, and it does not wait for it long.
  if (channel::Channel* channel = channel_.get()) channel->set_patience(kDescriptionPatience);
  if (loaded && context_.options.send_description)
    if (auto drained = or_exhausted([&] { return loader.drain_description(postcopy_->input()); }); !drained) {
      reached(Probe::description_missing);
      log::warn("the stream's description: {}", drained.error().what());
    }
  // Without a return path this is how the source learns that the guest stands still no more; it has given the
  // guest away for good, whatever comes of it. Just before the start and not after it, since a vCPU that
  // wakes may take the processor away from this thread, and from the one that waits at the source, for
  // milliseconds.
  if (!loader.return_path_open()) channel_.shutdown();
  if (loaded) {
    postcopy_->not_needed();
    ownership_.take_back();
    loaded = start_received(loader.run_state());
    if (!loaded) reached(Probe::start_failed);
  }
  if (loader.return_path_open()) {
    // The verdict. When it cannot be delivered the guest runs here all the same, and the source does not run
    // it.
    const std::uint32_t verdict = loaded ? 0 : 1;
    if (auto sent = or_exhausted([&] { return reply(wire::Shut{verdict}); }); !sent) {
      reached(Probe::verdict_not_delivered);
      log::warn("the source did not take the verdict: {}", sent.error().what());
    }
  }
  return loaded;
}

/// `loaded`: the package was good. Once the guest was started nothing can be given back.
Result<> IncomingMigration::finish_postcopy(Result<> loaded) {
  if (!loaded && !postcopy_->started()) {
    postcopy_->refuse();
    return loaded;
  }
  if (!loaded) log::warn("the guest runs: {}", loaded.error().what());
  ownership_.take_back();
  postcopy_->wait_finished();  // ended early only where the process ends
  return {};
}

Result<> IncomingMigration::start_received(RunState state) {
  const bool waits = state == RunState::running && !context_.guest.autostart();
  return start_guest(context_.guest, waits ? RunState::paused : state);
}

void IncomingMigration::fail_for_good(const Error& error) {
  using enum Status;
  channel_.shutdown();
  {
    std::lock_guard lock(mutex_);
    if (multifd_) multifd_->shutdown();
    error_text_ = error.what();
  }
  context_.status.to({none, active, postcopy_active, postcopy_paused, postcopy_recover}, failed);
  if (context_.exit_on_error)
    context_.observer.on_incoming_failed(error);
  else
    log::error("load of migration failed: {}", error.explain());
}

}  // namespace godwit::engine
