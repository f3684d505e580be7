#include "engine/outgoing/outgoing_migration.h"

#include <utility>

#include "base/fail.h"
#include "base/log.h"
#include "base/thread.h"
#include "channel/connector.h"
#include "engine/device_state.h"
#include "engine/security.h"
#include "wire/command.h"
#include "wire/header.h"
#include "wire/record.h"

namespace godwit::engine {
namespace {

/// A slice ends after this long, so that convergence is looked at often enough.
constexpr Nanoseconds kSliceTime = 50ms;
/// How long the source waits, without a return path, for the destination to close the connection: a
/// destination does so once the guest is loaded, and that moment is the true end of the downtime.
constexpr Milliseconds kPeerCloseTimeout = 2000ms;

/// Any value but the 1 of the beginning.
constexpr std::uint32_t kPingBeforeHandOver = 0x676f6477;

wire::Configuration configuration_of(Guest& guest, const Capabilities& capabilities) {
  wire::Configuration configuration;
  configuration.machine = guest.machine_name();
  if (capabilities.has(Capability::x_ignore_shared)) configuration.capabilities = {"x-ignore-shared"};
  if (capabilities.has(Capability::validate_uuid)) configuration.uuid = guest.uuid();
  return configuration;
}

}  // namespace

OutgoingMigration::OutgoingMigration(OutgoingContext context, channel::Address address,
                                     std::unique_ptr<channel::Channel> channel)
    : context_(context),
      capabilities_(context.settings.capabilities()),
      address_(std::move(address)),
      channel_(std::move(channel)),
      ram_(context.guest.ram_blocks(), context.guest.dirty_tracker(), statistics_.ram,
           capabilities_.has(Capability::x_ignore_shared)) {
  statistics_.started_ns = context_.clock.now().count();
  statistics_.expected_downtime_ms = static_cast<std::int64_t>(context_.settings.downtime_limit_ms());
  thread_ = start_thread("migration", [this](std::stop_token) { run(); });
}

OutgoingMigration::~OutgoingMigration() = default;

void OutgoingMigration::cancel() {
  using enum Status;
  if (!context_.status.to({setup, active, pre_switchover, device}, cancelling)) return;
  wake_.set();
  proceed_.set();
  interrupt_.interrupt();
  std::lock_guard lock(mutex_);
  if (channel_) channel_->shutdown();
}

std::optional<std::string> OutgoingMigration::error_text() const {
  std::lock_guard lock(mutex_);
  return error_text_;
}

void OutgoingMigration::store_error(const Error& error) {
  std::lock_guard lock(mutex_);
  error_text_ = error.what();
}

void OutgoingMigration::run() {
  if (auto result = transfer(); result)
    finish_completed();
  else
    finish_failed(std::move(result).error());
  done_.set();
}

Result<> OutgoingMigration::transfer() {
  GODWIT_TRY(connect());
  GODWIT_TRY(set_up());
  GODWIT_TRY(iterate());
  return switch_over();
}

Result<> OutgoingMigration::connect() {
  std::unique_ptr<channel::Channel> channel;
  {
    std::lock_guard lock(mutex_);
    channel = std::move(channel_);
  }
  const auto here = [](Error error) { return fail(std::move(error).at(Side::source, "connecting")); };
  if (!channel) {
    NoDescriptors none;
    auto connected = channel::connect(address_, none, interrupt_);
    if (!connected) return here(std::move(connected).error());
    channel = *std::move(connected);
  }
  auto secured =
      secure(std::move(channel), context_.settings.parameters(), context_.options.tls, address_, interrupt_);
  if (!secured) return here(std::move(secured).error());
  {
    std::lock_guard lock(mutex_);
    channel_ = *std::move(secured);
    if (cancelled()) channel_->shutdown();
  }
  out_ = std::make_unique<StreamWriter>(*channel_);
  return {};
}

Result<> OutgoingMigration::set_up() {
  const Nanoseconds started = context_.clock.now();
  Output& out = out_->pending();
  wire::encode_file_header(out);
  if (context_.options.send_configuration)
    wire::encode_configuration(out, configuration_of(context_.guest, capabilities_));
  if (capabilities_.has(Capability::return_path)) {
    return_path_ = std::make_unique<ReturnPath>(*channel_);
    wire::encode_command(out, wire::OpenReturnPath{});
    wire::encode_command(out, wire::Ping{1});
  }
  // A peer that is gone shows in `active`: what watches a migration sees the same steps whenever that was.
  Result<> sent = out_->flush();

  GODWIT_TRY(ram_.start());
  dirty_rate_.start(context_.clock.now());
  GODWIT_TRY(synchronize());
  wire::encode_section_header(out, wire::RecordType::section_start,
                              {.id = ram_section_id,
                               .name = std::string(wire::ram_section_name),
                               .instance = 0,
                               .version = wire::ram_section_version});
  ram_.encode_setup(out);
  if (context_.options.send_section_footer) wire::encode_footer(out, ram_section_id);
  if (sent) sent = out_->flush();

  statistics_.setup_ms = to_ms(context_.clock.now() - started);
  context_.status.to(Status::setup, Status::active);
  window_.start(context_.clock.now(), out_->bytes(), statistics_.ram.pages_sent());
  return sent;
}

Result<> OutgoingMigration::synchronize() {
  GODWIT_ASSIGN(const std::uint64_t fresh, ram_.synchronize());
  remaining_at_sync_ = ram_.remaining_bytes();
  const std::uint64_t pass = ++statistics_.ram.synchronizations;
  if (dirty_rate_.add(context_.clock.now(), fresh))
    statistics_.ram.dirty_pages_per_second = dirty_rate_.pages_per_second();
  if (capabilities_.has(Capability::events)) context_.observer.on_pass(static_cast<std::int64_t>(pass));
  return {};
}

Result<> OutgoingMigration::iterate() {
  while (!cancelled()) {
    const std::uint64_t threshold = window_.threshold_bytes();
    if (ram_.remaining_bytes() < threshold || ram_.remaining_bytes() == 0) GODWIT_TRY(synchronize());
    if (ram_.remaining_bytes() == 0 || ram_.remaining_bytes() < threshold) return {};
    GODWIT_TRY(send_slice());
    update_window();
    if (window_.quota_left(out_->bytes(), context_.settings.max_bandwidth()) == 0) {
      context_.clock.wait_for(wake_, window_.ends_at() - context_.clock.now());
      update_window();
    }
  }
  return fail("The migration was cancelled");
}

Result<> OutgoingMigration::send_slice() {
  const Nanoseconds until = context_.clock.now() + kSliceTime;
  const SliceLimits limits = {
      .bytes_left = [this] { return window_.quota_left(out_->bytes(), context_.settings.max_bandwidth()); },
      .expired = [this, until] { return cancelled() || context_.clock.now() >= until; },
  };
  Output& out = out_->pending();
  wire::encode_section_id(out, wire::RecordType::section_part, ram_section_id);
  GODWIT_TRY(ram_.send_slice(*out_, limits));
  wire::encode_end_of_section(out);
  ram_.count_bytes(8);
  if (context_.options.send_section_footer) wire::encode_footer(out, ram_section_id);
  return out_->flush();
}

void OutgoingMigration::update_window() {
  RamCounters& ram = statistics_.ram;
  if (!window_.update(context_.clock.now(), out_->bytes(), ram.pages_sent(),
                      context_.settings.downtime_limit_ms()))
    return;
  ram.mbps = window_.mbps();
  ram.pages_per_second = window_.pages_per_second();
  if (dirty_rate_.pages_per_second() != 0 && window_.window_bytes() > 10'000)
    statistics_.expected_downtime_ms =
        static_cast<std::int64_t>(static_cast<double>(remaining_at_sync_) / window_.bytes_per_ms());
}

Result<> OutgoingMigration::switch_over() {
  stopped_at_ = context_.clock.now();
  const RunState before = context_.guest.run_state();
  GODWIT_TRY(context_.guest.set_run_state(RunState::finish_migrate));
  state_before_stop_ = before;
  ram_.guest_stopped();
  if (capabilities_.has(Capability::pause_before_switchover)) GODWIT_TRY(wait_before_switchover());

  GODWIT_TRY(send_rest());
  Output devices;
  GODWIT_ASSIGN(const std::string description,
                save_devices(context_.guest, before, context_.options, devices));
  out_->pending().bytes(devices.data());
  GODWIT_TRY(out_->flush());
  GODWIT_TRY(confirm_destination());
  if (cancelled()) return fail("The migration was cancelled");
  GODWIT_TRY(hand_over(description));
  return await_destination();
}

Result<> OutgoingMigration::wait_before_switchover() {
  proceed_.clear();
  if (!context_.status.to(Status::active, Status::pre_switchover)) return fail("The migration was cancelled");
  proceed_.wait();
  if (!context_.status.to(Status::pre_switchover, Status::device)) return fail("The migration was cancelled");
  return {};
}

Result<> OutgoingMigration::send_rest() {
  GODWIT_TRY(synchronize());
  const SliceLimits unlimited = {.bytes_left = [] { return ~std::uint64_t{0}; },
                                 .expired = [this] { return cancelled(); }};
  Output& out = out_->pending();
  wire::encode_section_id(out, wire::RecordType::section_end, ram_section_id);
  GODWIT_ASSIGN(const bool all, ram_.send_slice(*out_, unlimited));
  if (!all) return fail("The migration was cancelled");
  wire::encode_end_of_section(out);
  if (context_.options.send_section_footer) wire::encode_footer(out, ram_section_id);
  return {};
}

/// The last look at the destination while the guest is still ours. With a return path it has to answer once
/// it has loaded everything; without one, the connection must at least not be broken.
Result<> OutgoingMigration::confirm_destination() {
  if (return_path_) {
    wire::encode_command(out_->pending(), wire::Ping{kPingBeforeHandOver});
    GODWIT_TRY(out_->flush());
    return return_path_->wait_for_pong(kPingBeforeHandOver);
  }
  if (!channel_->two_way()) return {};
  // An orderly end of the other direction says nothing: who only reads may close it. A broken connection
  // does.
  if (auto open = channel_->wait_for_peer_close(Milliseconds(0)); !open) return fail(std::move(open).error());
  return {};
}

Result<> OutgoingMigration::hand_over(const std::string& description) {
  // The end-of-file byte alone: one byte is taken by the kernel or it is not, there is no half of it. When
  // the write fails, the destination provably never got it and does not run the guest.
  wire::encode_eof(out_->pending());
  ownership_.hand_over();
  if (auto written = out_->flush(); !written) {
    ownership_.take_back();
    return written;
  }
  if (!context_.options.send_description) return {};
  wire::encode_description(out_->pending(), description);
  if (auto written = out_->flush(); !written)
    log::warn("the destination did not take the description of the stream: {}", written.error().what());
  return {};
}

Result<> OutgoingMigration::await_destination() {
  if (return_path_) {
    GODWIT_ASSIGN(const bool runs_there, return_path_->wait_for_verdict());
    if (!runs_there) {
      ownership_.take_back();
      return fail("The destination could not load the guest and says so on the return path");
    }
    ownership_.confirm();
    return {};
  }
  GODWIT_TRY(channel_->finish_writing());
  if (auto closed = channel_->wait_for_peer_close(kPeerCloseTimeout); !closed)
    log::warn("the destination closed the connection without reading all of it: {}", closed.error().what());
  return {};
}

void OutgoingMigration::finish_completed() {
  const Nanoseconds now = context_.clock.now();
  statistics_.downtime_ms = to_ms(now - stopped_at_);
  statistics_.total_ms = to_ms(now - Nanoseconds(statistics_.started_ns.load()));
  const std::int64_t moving_ms = statistics_.total_ms - statistics_.setup_ms;
  if (moving_ms > 0)
    statistics_.ram.mbps = static_cast<double>(out_->bytes()) * 8.0 / static_cast<double>(moving_ms) / 1000.0;
  ram_.stop();
  close_channel();
  if (auto state = context_.guest.set_run_state(RunState::postmigrate); !state)
    log::error("after the migration: {}", state.error().explain());
  if (!context_.status.to({Status::active, Status::device}, Status::completed))
    context_.status.to(Status::cancelling, Status::cancelled);
}

void OutgoingMigration::finish_failed(Error error) {
  const bool was_cancelled = context_.status.status() == Status::cancelling;
  ram_.stop();
  give_guest_back();
  close_channel();
  statistics_.total_ms = to_ms(context_.clock.now() - Nanoseconds(statistics_.started_ns.load()));
  if (!ownership_.may_run_here())
    error = std::move(error)
                .in("The destination may be running the guest")
                .advise("look at the destination; only if it does not run the guest, 'cont' here");
  error = std::move(error).at(Side::source, "migrating");
  if (!was_cancelled) log::warn("{}", error.explain());
  store_error(error);
  using enum Status;
  if (!context_.status.to({setup, active, pre_switchover, device}, failed))
    context_.status.to(cancelling, cancelled);
}

/// Before anything else that takes time: a guest that is ours and ran before runs again.
void OutgoingMigration::give_guest_back() {
  if (!state_before_stop_) return;
  const bool run = ownership_.may_run_here() && *state_before_stop_ == RunState::running;
  if (auto state = context_.guest.set_run_state(run ? RunState::running : RunState::postmigrate); !state)
    log::error("after the failed migration: {}", state.error().explain());
}

void OutgoingMigration::close_channel() {
  if (channel_) channel_->shutdown();
  return_path_.reset();
  out_.reset();
  std::lock_guard lock(mutex_);
  channel_.reset();
}

}  // namespace godwit::engine
