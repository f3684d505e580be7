#include "engine/outgoing/switchover_phase.h"

#include "base/fail.h"
#include "base/log.h"
#include "engine/device_state.h"
#include "engine/probes.h"
#include "wire/command.h"
#include "wire/header.h"
#include "wire/record.h"

namespace godwit::engine {
namespace {

/// How long the source waits, without a return path, for the destination to close the connection: a
/// destination does so once the guest is loaded, and that moment is the true end of the downtime.
constexpr Milliseconds kPeerCloseTimeout = 2000ms;

/// A destination that is silent for so long when it is asked for a last sign is given up: the guest stands
/// still.
constexpr Milliseconds kSignPatience = 10'000ms;

/// Any value but the 1 of the beginning.
constexpr std::uint32_t kPingBeforeHandOver = 0x676f6477;

Result<> send_rest(OutgoingSession& session) {
  GODWIT_TRY(session.synchronize());
  const SliceLimits unlimited = {.bytes_left = [] { return ~std::uint64_t{0}; },
                                 .expired = [&] { return session.cancelled(); }};
  session.begin_ram_section(wire::RecordType::section_end);
  GODWIT_ASSIGN(const bool all, session.ram.send_slice(*session.out, unlimited));
  if (!all) return fail("The migration was cancelled");
  GODWIT_TRY(session.ram.finish_section(*session.out));
  GODWIT_TRY(session.lanes.all_pages_sent());
  // The last end mark is not counted, as a 7.2 source does not count it.
  wire::encode_end_of_section(session.out->pending());
  if (session.context.options.send_section_footer)
    wire::encode_footer(session.out->pending(), ram_section_id);
  return {};
}

/// The last look at the destination while the guest is still ours. With a return path it has to answer once
/// it has loaded everything; without one, the connection must at least not be broken.
Result<> confirm_main_channel(OutgoingSession& session) {
  if (session.return_path) {
    wire::encode_command(session.out->pending(), wire::Ping{kPingBeforeHandOver});
    GODWIT_TRY(session.out->flush());
    session.channel.get()->set_patience(kSignPatience);
    if (auto sign = session.return_path->wait_for_pong(kPingBeforeHandOver); !sign) {
      reached(Probe::refused_before_eof);
      return sign;
    }
    session.channel.get()->set_patience(Milliseconds(0));
    return {};
  }
  if (!session.channel.get()->two_way()) return {};
  // An orderly end of the other direction says nothing: who only reads may close it. A broken connection
  // does.
  if (auto open = session.channel.get()->wait_for_peer_close(Milliseconds(0)); !open)
    return fail(std::move(open).error());
  return {};
}

Result<> confirm_destination(OutgoingSession& session) {
  GODWIT_TRY(confirm_main_channel(session));
  return session.lanes.confirm();
}

Result<> hand_over(OutgoingSession& session, const std::string& description) {
  // The end-of-file byte alone: one byte is taken by the kernel or it is not, there is no half of it. When
  // the write fails, the destination provably never got it and does not run the guest.
  StreamWriter& out = *session.out;
  wire::encode_eof(out.pending());
  session.ownership.hand_over();
  if (auto written = out.flush(); !written) {
    reached(Probe::eof_not_written);
    session.ownership.take_back();
    return written;
  }
  if (!session.context.options.send_description) return {};
  wire::encode_description(out.pending(), description);
  if (auto written = out.flush(); !written)
    log::warn("the destination did not take the description of the stream: {}", written.error().what());
  return {};
}

Result<> await_destination(OutgoingSession& session) {
  if (session.return_path) {
    const auto runs_there = session.return_path->wait_for_verdict();
    if (!runs_there) {
      reached(Probe::verdict_missing);
      return fail(runs_there.error());
    }
    if (!*runs_there) {
      reached(Probe::refused_after_eof);
      session.ownership.take_back();
      return fail("The destination could not load the guest and says so on the return path");
    }
    session.ownership.confirm();
    return {};
  }
  channel::Channel& channel = *session.channel.get();
  GODWIT_TRY(channel.finish_writing());
  const auto closed = channel.wait_for_peer_close(kPeerCloseTimeout);
  if (!closed || !*closed) reached(Probe::close_not_seen);
  if (!closed)
    log::warn("the destination closed the connection without reading all of it: {}", closed.error().what());
  return {};
}

}  // namespace

Result<> switch_over(OutgoingSession& session) {
  session.stopped_at = session.context.clock.now();
  GODWIT_TRY(session.stop_guest());
  if (session.has(Capability::pause_before_switchover))
    GODWIT_TRY(session.wait_before_switchover(Status::device));

  GODWIT_TRY(send_rest(session));
  Output devices;
  GODWIT_ASSIGN(const std::string description, save_devices(session.context.guest, *session.state_before_stop,
                                                            session.context.options, devices));
  session.out->pending().bytes(devices.data());
  GODWIT_TRY(session.out->flush());
  GODWIT_TRY(confirm_destination(session));
  if (session.cancelled()) return fail("The migration was cancelled");
  GODWIT_TRY(hand_over(session, description));
  return await_destination(session);
}

}  // namespace godwit::engine
