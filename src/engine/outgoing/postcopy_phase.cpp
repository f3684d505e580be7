#include "engine/outgoing/postcopy_phase.h"

#include <algorithm>
#include <array>
#include <limits>
#include <poll.h>
#include <utility>

#include "base/fail.h"
#include "base/log.h"
#include "channel/wait.h"
#include "engine/device_state.h"
#include "engine/outgoing/discards.h"
#include "engine/probes.h"
#include "wire/command.h"
#include "wire/header.h"
#include "wire/record.h"

namespace godwit::engine {
namespace {

/// The pings of a 7.2 source, by their place in the stream.
constexpr std::uint32_t kPingBeforePackage = 2;
constexpr std::uint32_t kPingBehindPackage = 4;

/// What goes out in the background at a time: little, because a requested page waits for it; less where the
/// background is not in a hurry.
constexpr std::uint64_t kBackgroundPages = 32;
constexpr std::uint64_t kPacedPages = 8;
/// How long to stay awake after a request: a guest that faults faults again soon, and waits longer for who
/// has to wake up first. The processors that it has left are free.
constexpr Nanoseconds kStayAwake = 2ms;
/// The same while there is a background to send: that comes back soon by itself.
constexpr Nanoseconds kStayAwakeBriefly = 100us;

Milliseconds patience_of(const OutgoingSession& session) {
  return Milliseconds(session.context.settings.postcopy_timeout_ms());
}

}  // namespace

PostcopyPhase::PostcopyPhase(OutgoingSession& session)
    : session_(session), requests_(session.context.guest.ram_blocks()) {}

// ---- the hand-over

Result<> PostcopyPhase::switch_over() {
  StreamWriter& out = *session_.out;
  Discards discards(session_.context.guest.ram_blocks());
  GODWIT_TRY(session_.ram.synchronize());
  discards.encode(session_.ram.dirty(), out.pending());
  GODWIT_TRY(let_it_catch_up());
  session_.stopped_at = session_.context.clock.now();
  GODWIT_TRY(stop_guest());
  GODWIT_TRY(session_.synchronize());
  discards.encode(session_.ram.dirty(), out.pending());
  pages_.emplace(session_.context.guest.ram_blocks(), session_.ram.hand_over_rest(), session_.statistics.ram,
                 session_.has(Capability::release_ram));
  wire::encode_command(out.pending(), wire::Ping{kPingBeforePackage});
  GODWIT_TRY(out.flush());
  // The last look at the destination while the guest is still ours: it lives, and has dropped what it has to
  // drop.
  GODWIT_TRY(session_.return_path->wait_for_pong(kPingBeforePackage));
  session_.peer_is_godwit = session_.return_path->peer_is_godwit();
  if (session_.has(Capability::multifd) && !session_.peer_is_godwit)
    return fail(
        Error("Postcopy of a migration with multifd only goes to a Godwit: a destination of QEMU 7.2 aborts "
              "when it has all pages, and the guest is lost")
            .advise("turn multifd off on both sides"));
  GODWIT_TRY(send_package());
  session_.statistics.downtime_ms = to_ms(session_.context.clock.now() - session_.stopped_at);
  return {};
}

/// What the socket still holds is not to be loaded, nor most of what is dropped, while the guest stands
/// still.
Result<> PostcopyPhase::let_it_catch_up() {
  session_.channel.get()->set_patience(patience_of(session_));
  wire::encode_command(session_.out->pending(), wire::Ping{heartbeat});
  GODWIT_TRY(session_.out->flush());
  return session_.return_path->wait_for_pong(heartbeat);
}

Result<> PostcopyPhase::stop_guest() {
  if (session_.has(Capability::pause_before_switchover)) {
    GODWIT_TRY(session_.stop_guest());
    return session_.wait_before_switchover(Status::postcopy_active);
  }
  if (!session_.context.status.to(Status::active, Status::postcopy_active))
    return fail("The migration was cancelled");
  return session_.stop_guest();
}

Result<> PostcopyPhase::send_package() {
  const OutgoingContext& context = session_.context;
  Output package;
  wire::encode_command(package, wire::PostcopyListen{});
  GODWIT_TRY(save_devices(context.guest, *session_.state_before_stop, context.options, package));
  wire::encode_command(package, wire::Ping{ping_in_package});
  wire::encode_command(package, wire::PostcopyRun{});

  StreamWriter& out = *session_.out;
  if (package.size() > std::numeric_limits<std::uint32_t>::max())
    return fail("The devices' state has {} bytes, more than a package may have", package.size());
  wire::encode_command(out.pending(), wire::Packaged{static_cast<std::uint32_t>(package.size())});
  out.pending().bytes(package.data().first(package.size() - 1));
  GODWIT_TRY(out.flush());

  // The destination reads the package to its end before it acts on any of it, so that its last byte is what
  // lets the guest run there. One byte is taken by the kernel or it is not. A Godwit says first that it has
  // all the others.
  if (session_.peer_is_godwit) {
    if (auto arrived = session_.return_path->wait_for_pong(package_arrived); !arrived) {
      reached(Probe::package_not_acknowledged);
      return arrived;
    }
  }
  out.pending().bytes(package.data().last(1));
  session_.ownership.hand_over();
  if (auto written = out.flush(); !written) {
    reached(Probe::package_byte_not_sent);
    session_.ownership.take_back();
    return written;
  }
  wire::encode_command(out.pending(), wire::Ping{kPingBehindPackage});
  return {};
}

// ---- pages

Result<> PostcopyPhase::serve() {
  auto sent = send_pages();
  if (!sent) hear_last_words();
  return sent;
}

/// A destination that gives up says so and hangs up: what breaks here may be the writing, and what it said is
/// still to be read.
void PostcopyPhase::hear_last_words() {
  ReturnPath& in = *session_.return_path;
  while (session_.ownership.owner() == Owner::unknown) {
    pollfd entry{session_.channel.get()->read_descriptor(), POLLIN, 0};
    const auto ready = channel::wait_for_any({&entry, 1}, std::chrono::steady_clock::now());
    if (!in.has_bytes() && !(ready && *ready)) return;
    const auto message = in.next();
    if (!message) return;
    reached(Probe::last_words_heard);
    if (std::holds_alternative<wire::PageRequest>(*message)) continue;
    if (!hear(*message)) return;
  }
}

Result<> PostcopyPhase::send_pages() {
  begin_connection();
  while (!completed_) {
    if (session_.cancelled()) return fail("The process ends");
    session_.update_window();
    if (!ended_ && pages_->all_sent()) {
      GODWIT_TRY(end_stream());
      continue;
    }
    GODWIT_ASSIGN(const Ready ready, wait());
    if (ready.readable)
      GODWIT_TRY(hear());
    else if (ready.writable)
      GODWIT_TRY(send_background());
    GODWIT_TRY(beat());
  }
  return {};
}

void PostcopyPhase::begin_connection() {
  begin_channel(*session_.channel.get());
  main_ = {.out = session_.out.get()};
  urgent_ = {.out = session_.urgent_out.get()};
  if (urgent_.out) {
    begin_channel(*session_.urgent_channel.get());
    // It leaves with the first page: until then this connection is silent, as a 7.2 peer's is.
    if (session_.peer_is_godwit) wire::encode_command(urgent_.out->pending(), wire::Ping{session_.token});
  }
  heard_at_ = wrote_at_ = session_.context.clock.now();
  section_open_ = ended_ = false;
  session_.window.start(heard_at_, session_.bytes_sent(), session_.statistics.ram.pages_sent(),
                        session_.statistics.spared_bytes());
}

void PostcopyPhase::begin_channel(channel::Channel& channel) {
  channel.set_patience(Milliseconds(session_.context.settings.postcopy_timeout_ms()));
  channel.prefer_latency();
}

std::uint64_t PostcopyPhase::quota_left() const {
  return session_.quota_left(session_.context.settings.max_postcopy_bandwidth());
}

Result<PostcopyPhase::Ready> PostcopyPhase::wait() {
  if (session_.return_path->has_bytes()) return Ready{.readable = true};
  const Nanoseconds now = session_.context.clock.now();
  // A share at a time, over the whole window: a burst at its start would be in the way of what is asked for.
  const Nanoseconds due =
      session_.window.due_at(session_.bytes_sent(), session_.context.settings.max_postcopy_bandwidth());
  const bool to_write = !ended_ && due <= now;
  const channel::Channel& channel = *session_.channel.get();
  std::array<pollfd, 3> entries{{{channel.read_descriptor(), POLLIN, 0},
                                 {session_.polled_wake.fd(), POLLIN, 0},
                                 {to_write ? channel.write_descriptor() : -1, POLLOUT, 0}}};
  Nanoseconds until = now + heartbeat_interval;
  if (!to_write && !ended_) until = std::min(until, due);
  ReturnPath& in = *session_.return_path;
  const Nanoseconds awake_until = answered_at_ + (to_write ? kStayAwakeBriefly : kStayAwake);
  GODWIT_TRY(channel::wait_awake(entries, awake_until - now,
                                 std::chrono::steady_clock::now() + std::max(Nanoseconds(0), until - now),
                                 [&in] { return in.fetch(); }));
  if (entries[1].revents) session_.polled_wake.drain();
  return Ready{.readable = entries[0].revents != 0 || in.has_bytes(), .writable = entries[2].revents != 0};
}

Result<> PostcopyPhase::send_background() {
  open_section();
  wrote_at_ = session_.context.clock.now();
  const std::uint64_t most =
      session_.context.settings.max_postcopy_bandwidth() == 0 ? kBackgroundPages : kPacedPages;
  return pages_->send_next(main_, std::clamp<std::uint64_t>(quota_left() / page_size, 1, most),
                           urgent_.out != nullptr);
}

void PostcopyPhase::open_section() {
  if (!std::exchange(section_open_, true)) session_.begin_ram_section(wire::RecordType::section_part);
}

Result<> PostcopyPhase::close_section() {
  return std::exchange(section_open_, false) ? session_.end_ram_section() : Result<>{};
}

Result<> PostcopyPhase::end_stream() {
  GODWIT_TRY(close_section());
  session_.begin_ram_section(wire::RecordType::section_end);
  GODWIT_TRY(session_.end_ram_section());
  wire::encode_eof(session_.out->pending());
  ended_ = true;
  if (urgent_.out) {
    wire::encode_end_of_section(urgent_.out->pending());
    GODWIT_TRY(urgent_.out->flush());
  }
  return session_.out->flush();
}

/// Between two Godwits: a sign of life when there is nothing else to say, and a look at the other's.
Result<> PostcopyPhase::beat() {
  if (!session_.peer_is_godwit) return {};
  const Nanoseconds now = session_.context.clock.now();
  const Milliseconds patience = patience_of(session_);
  if (patience.count() > 0 && now - heard_at_ > patience)
    return fail("The destination has not answered for {} ms", to_ms(now - heard_at_));
  const bool idle = now - wrote_at_ >= heartbeat_interval || now - heard_at_ >= heartbeat_interval;
  if (ended_ || !idle || now - pinged_at_ < heartbeat_interval) return {};
  GODWIT_TRY(close_section());
  wire::encode_command(session_.out->pending(), wire::Ping{heartbeat});
  wrote_at_ = pinged_at_ = now;
  return session_.out->flush();
}

// ---- what the destination says

Result<> PostcopyPhase::hear() {
  heard_at_ = session_.context.clock.now();
  do {
    GODWIT_ASSIGN(const wire::ReturnMessage message, session_.return_path->next());
    GODWIT_TRY(hear(message));
  } while (session_.return_path->has_bytes() && !completed_);
  return {};
}

Result<> PostcopyPhase::hear(const wire::ReturnMessage& message) {
  if (const auto* request = std::get_if<wire::PageRequest>(&message)) return answer(*request);
  if (const auto* shut = std::get_if<wire::Shut>(&message)) return hear_verdict(shut->status);
  if (const auto* pong = std::get_if<wire::Pong>(&message)) {
    hear_pong(*pong);
    return {};
  }
  return fail("return path: {} is not expected in postcopy", wire::name_of(message));
}

void PostcopyPhase::hear_pong(const wire::Pong& pong) {
  if (pong.value == ping_in_package)
    session_.ownership.confirm();  // it runs, or, if it is not a Godwit, is about to
}

Result<> PostcopyPhase::answer(const wire::PageRequest& request) {
  ++session_.statistics.ram.postcopy_requests;
  GODWIT_ASSIGN(const WantedPages wanted, requests_.resolve(request));
  // What of a huge page has begun on the main channel ends there: its parts are collected for each channel.
  PageConnection& connection = urgent_.out && !pages_->is_begun(wanted) ? urgent_ : main_;
  if (&connection == &main_ && !ended_) open_section();
  GODWIT_ASSIGN(const bool sent, pages_->send(connection, wanted));
  if (!sent) {
    // It is on its way already; a destination asks again now and then, but not without end.
    reached(Probe::asked_for_sent_page);
    const std::uint64_t limit = 4 * session_.statistics.ram.total_bytes / page_size + 65'536;
    if (++useless_requests_ > limit)
      return fail("the destination asks again and again for pages that were sent");
    return {};
  }
  wrote_at_ = session_.context.clock.now();
  answered_at_ = wrote_at_;
  return {};
}

Result<> PostcopyPhase::hear_verdict(std::uint32_t status) {
  if (status == 0) {
    if (!ended_) return fail("The destination says that it has everything before everything was sent");
    session_.ownership.confirm();
    completed_ = true;
    return {};
  }
  // A Godwit says this when it does not run the guest and never did. One that has said before that the guest
  // runs contradicts itself: the guest stays there.
  if (session_.peer_is_godwit && session_.ownership.owner() == Owner::unknown) {
    reached(Probe::refused_package);
    session_.ownership.take_back();
  }
  return fail("The destination could not load the guest and says so on the return path");
}

// ---- recovery

Result<> PostcopyPhase::resume() {
  session_.channel.get()->set_patience(Milliseconds(session_.context.settings.postcopy_timeout_ms()));
  session_.return_path = std::make_unique<ReturnPath>(*session_.channel.get());
  requests_.forget();
  const auto blocks = session_.context.guest.ram_blocks();
  Output& out = session_.out->pending();
  if (session_.peer_is_godwit) encode_greeting(out, session_.token);
  for (const RamBlock& block : blocks) wire::encode_command(out, wire::ReceivedBitmapRequest{block.name});
  GODWIT_TRY(session_.out->flush());

  std::vector<std::optional<DirtyBitmap>> missing(blocks.size());
  while (!std::ranges::all_of(missing, [](const auto& bitmap) { return bitmap.has_value(); })) {
    GODWIT_ASSIGN(const wire::ReturnMessage message, session_.return_path->next());
    if (const auto* bitmap = std::get_if<wire::ReceivedBitmap>(&message))
      GODWIT_TRY(hear_bitmap(bitmap->block, missing));
    else if (const auto* pong = std::get_if<wire::Pong>(&message))
      hear_pong(*pong);  // it may have loaded the package after the connection broke
    else
      return fail("return path: {} is not expected while the connection is taken up again",
                  wire::name_of(message));
  }
  // Not before all of them are known to be good: a wrong destination leaves no trace.
  for (std::size_t block = 0; block < blocks.size(); ++block)
    pages_->set_missing(block, *std::move(missing[block]));
  wire::encode_command(out, wire::PostcopyResume{});
  GODWIT_TRY(session_.out->flush());
  while (true) {
    GODWIT_ASSIGN(const wire::ReturnMessage message, session_.return_path->next());
    if (const auto* pong = std::get_if<wire::Pong>(&message)) {
      hear_pong(*pong);
      continue;
    }
    const auto* ack = std::get_if<wire::ResumeAck>(&message);
    if (!ack) return fail("return path: expected RESUME_ACK, got {}", wire::name_of(message));
    if (ack->value != 1) return fail("The destination refuses to resume: RESUME_ACK {}", ack->value);
    return {};
  }
}

Result<> PostcopyPhase::hear_bitmap(const std::string& name,
                                    std::vector<std::optional<DirtyBitmap>>& missing) {
  const auto blocks = session_.context.guest.ram_blocks();
  const auto at = std::ranges::find(blocks, name, &RamBlock::name);
  if (at == blocks.end())
    return fail("the destination sends a bitmap of RAM block '{}', which does not exist here", name);
  const auto index = static_cast<std::size_t>(at - blocks.begin());
  if (missing[index]) return fail("the destination sends the bitmap of RAM block '{}' twice", name);
  DirtyBitmap bitmap(at->pages());
  GODWIT_TRY(session_.return_path->read_bitmap(bitmap));
  // From "received" to "missing".
  const DirtyBitmap& never_sent = pages_->missing(index);
  for (std::size_t word = 0; word < bitmap.words().size(); ++word) {
    if (bitmap.words()[word] & never_sent.words()[word])
      return fail(
          Error(fmt::format("the destination claims to have pages of RAM block '{}' that were never sent",
                            name))
              .advise("connect to the destination of this guest"));
    bitmap.words()[word] = ~bitmap.words()[word];
  }
  if (const std::uint64_t rest = at->pages() % 64; rest != 0)
    bitmap.words().back() &= (std::uint64_t{1} << rest) - 1;
  missing[index] = std::move(bitmap);
  return {};
}

}  // namespace godwit::engine
