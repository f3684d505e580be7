#include "engine/incoming/postcopy_receiver.h"

#include <algorithm>
#include <array>
#include <poll.h>
#include <utility>

#include "base/exhaustion.h"
#include "base/fail.h"
#include "base/log.h"
#include "base/thread.h"
#include "channel/wait.h"
#include "engine/greeting.h"
#include "engine/probes.h"
#include "wire/record.h"

namespace godwit::engine {
namespace {

/// Pages that are placed before the next look at faults.
constexpr int kStepsPerTurn = 8;
/// What is fetched from the main connection at a time: eight pages. The guest may wait for the first of them.
constexpr std::size_t kMostPerRead = 36 * 1024;
/// How long to stay awake while somebody waits for a page: the answer comes soon, and waking up costs more
/// than this is worth. Not for the next fault: the vCPU that has it needs the processor until then.
constexpr Nanoseconds kStayAwake = std::chrono::microseconds(100);

}  // namespace

PostcopyReceiver::PostcopyReceiver(PostcopyParts parts, std::unique_ptr<channel::ChannelInput> in)
    : parts_(std::move(parts)),
      placer_(parts_.blocks, parts_.memory, parts_.missing,
              [this](std::size_t block, std::uint64_t offset) { faults_.placed(block, offset); }),
      urgent_placer_(parts_.blocks, parts_.memory, parts_.missing,
                     [this](std::size_t block, std::uint64_t offset) { faults_.placed(block, offset); }),
      stream_(parts_.blocks, placer_, parts_.ram_section, parts_.footers),
      urgent_stream_(parts_.blocks, urgent_placer_),
      faults_(parts_.blocks, parts_.memory, parts_.missing, parts_.blocktime, parts_.clock),
      in_(std::move(in)) {
  urgent_is_known_ = !parts_.token;
  if (parts_.urgent_channel.get()) prepare_urgent_channel();
  prepare_channel();
}

void PostcopyReceiver::start() {
  thread_ = start_thread("postcopy", [this](std::stop_token) { run(); });
}

// ---- what others ask for

void PostcopyReceiver::attach(std::unique_ptr<channel::Channel> channel) {
  std::lock_guard lock(mutex_);
  mail_.channels.push_back(std::move(channel));
  has_mail_ = true;
  wake_.wake();
}

void PostcopyReceiver::send(const wire::ReturnMessage& message) {
  std::lock_guard lock(mutex_);
  wire::encode_return_message(mail_.messages, message);
  has_mail_ = true;
  wake_.wake();
}

void PostcopyReceiver::guest_started() {
  std::lock_guard lock(mutex_);
  mail_.guest_started = has_mail_ = true;
  wake_.wake();
}

bool PostcopyReceiver::wait_finished() {
  done_.wait();
  return completed_;
}

void PostcopyReceiver::stop() {
  {
    std::lock_guard lock(mutex_);
    mail_.stop = has_mail_ = true;
    wake_.wake();
  }
  if (thread_.joinable()) thread_.join();
}

// ---- the thread

void PostcopyReceiver::run() {
  while (!finished_ && !stopping_) {
    // It must go on for the guest's sake: what has run out costs the connection, which can be taken up again.
    auto done = or_exhausted([this]() -> Result<> {
      if (std::exchange(may_have_faults_, false)) take_faults();
      if (has_mail_) take_mail();
      return stopping_ ? flush() : turn();
    });
    if (!done) lose(done.error());
  }
  completed_ = finished_;
  if (finished_) parts_.memory.stop();
  done_.set();
}

void PostcopyReceiver::take_mail() {
  Mail mail;
  {
    std::lock_guard lock(mutex_);
    mail = std::move(mail_);
    mail_ = {};
    has_mail_ = false;
    wake_.drain();
  }
  const bool starts = mail.guest_started && !std::exchange(guest_started_, true);
  stopping_ = mail.stop;
  for (auto& channel : mail.channels) connect(std::move(channel));
  if (in_) out_.bytes(mail.messages.data());
  if (starts && resumed_) say_that_the_guest_runs();
}

void PostcopyReceiver::take_faults() {
  requests_.clear();
  const auto faults = faults_.take(requests_);
  if (!faults && !std::exchange(fault_error_reported_, true)) log::error("{}", faults.error().explain());
  if (faults && *faults > 0) awake_until_ = parts_.clock.now() + kStayAwake;
  // Without a connection they are remembered, and asked for when the source has resumed.
  if (in_ && phase_ == Phase::pages) out_.bytes(requests_.data());
}

Result<> PostcopyReceiver::turn() {
  if (!in_) return wait();
  GODWIT_TRY(flush());
  if (phase_ == Phase::ended && guest_started_) return finish();
  // Somebody waits for these.
  if (urgent_in_ && (urgent_readable_ || urgent_in_->has_bytes())) return read_urgent();
  if (!main_ended_ && (readable_ || in_->has_bytes())) return read();
  GODWIT_TRY(beat());
  return wait();
}

Result<> PostcopyReceiver::flush() {
  if (!in_ || out_.size() == 0) return {};
  wrote_at_ = parts_.clock.now();
  auto written = parts_.channel.get()->write(out_.data());
  out_.clear();
  return written;
}

/// Waits for a fault, for mail and for the source.
Result<> PostcopyReceiver::wait() {
  const auto descriptor = [](const auto& in, bool listens) {
    return in && listens ? in->channel().read_descriptor() : -1;
  };
  std::array<pollfd, 4> entries{{{parts_.memory.fd(), POLLIN, 0},
                                 {wake_.fd(), POLLIN, 0},
                                 {descriptor(in_, !main_ended_), POLLIN, 0},
                                 {descriptor(urgent_in_, true), POLLIN, 0}}};
  channel::Deadline deadline;
  if (in_) deadline = std::chrono::steady_clock::now() + heartbeat_interval;
  const Nanoseconds awake =
      in_ && parts_.missing.any_asked() ? awake_until_ - parts_.clock.now() : Nanoseconds(0);
  channel::ChannelInput* const expected = urgent_in_ ? urgent_in_.get() : main_ended_ ? nullptr : in_.get();
  GODWIT_TRY(channel::wait_awake(entries, awake, deadline, [&] { return expected && expected->fetch(); }));
  may_have_faults_ = entries[0].revents != 0;
  readable_ = entries[2].revents != 0;
  urgent_readable_ = entries[3].revents != 0;
  return {};
}

/// Between two Godwits, and while a new connection has shown nothing yet: silence means that it is dead.
Result<> PostcopyReceiver::beat() {
  const Nanoseconds now = parts_.clock.now();
  if (phase_ == Phase::ended) {
    // The source waits for the verdict, which waits for the devices: say that somebody is here.
    if (parts_.token && now - wrote_at_ >= heartbeat_interval)
      wire::encode_return_message(out_, wire::Pong{heartbeat});
    return {};
  }
  const Milliseconds patience(parts_.settings.postcopy_timeout_ms());
  if (patience.count() == 0 || now - heard_at_ <= patience) return {};
  if (parts_.token || phase_ == Phase::recovering)
    return fail("The source has sent nothing for {} ms", to_ms(now - heard_at_));
  return {};
}

// ---- the stream

Result<> PostcopyReceiver::read() {
  heard_at_ = parts_.clock.now();
  readable_ = false;
  may_have_faults_ = true;
  const bool somebody_waits = parts_.missing.any_asked();
  for (int step = 0; step < kStepsPerTurn && !main_ended_; ++step) {
    GODWIT_ASSIGN(const PostcopyStream::Item item, stream_.step(*in_));
    if (const auto* command = std::get_if<wire::Command>(&item))
      GODWIT_TRY(execute(*command));
    else if (phase_ == Phase::recovering)
      // A second connection that comes late, of an attempt that is over, is taken for the main one.
      return fail("The source sends pages, or the end of them, before it has resumed");
    else if (std::holds_alternative<PostcopyStream::EndOfStream>(item)) {
      main_ended_ = true;
      GODWIT_TRY(end_of_stream());
    }
    if (!in_->has_bytes()) {
      // Who waited goes on and needs the next page; else the wait that follows looks.
      may_have_faults_ = somebody_waits;
      break;
    }
  }
  awake_until_ = std::max(awake_until_, parts_.clock.now() + kStayAwake);
  return {};
}

Result<> PostcopyReceiver::read_urgent() {
  urgent_readable_ = false;
  may_have_faults_ = true;
  if (phase_ == Phase::recovering) return fail("The source sends pages before it has resumed");
  if (!urgent_is_known_) GODWIT_TRY(recognize_urgent());
  for (int step = 0; step < kStepsPerTurn; ++step) {
    const auto more = urgent_stream_.step(*urgent_in_);
    if (!more) {
      reached(Probe::urgent_connection_lost);
      return fail(more.error());
    }
    if (!*more) {
      urgent_in_.reset();
      return end_of_stream();
    }
    if (!urgent_in_->has_bytes()) break;
  }
  awake_until_ = std::max(awake_until_, parts_.clock.now() + kStayAwake);
  return {};
}

/// A Godwit shows the token here too before it sends a page. The listener has only seen that it was silent.
Result<> PostcopyReceiver::recognize_urgent() {
  const auto refuse = [] { return fail("The second connection is not from the source of this guest"); };
  GODWIT_ASSIGN(const auto first, urgent_in_->need(1));
  if (static_cast<wire::RecordType>(first[0]) != wire::RecordType::command) return refuse();
  urgent_in_->skip(1);
  GODWIT_ASSIGN(const wire::Command command, wire::decode_command(*urgent_in_));
  const auto* ping = std::get_if<wire::Ping>(&command);
  urgent_is_known_ = ping && ping->value == parts_.token;
  return urgent_is_known_ ? Result<>{} : refuse();
}

Result<> PostcopyReceiver::execute(const wire::Command& command) {
  if (const auto* ping = std::get_if<wire::Ping>(&command)) {
    wire::encode_return_message(out_, wire::Pong{ping->value});
    if (ping->value == hello) wire::encode_return_message(out_, wire::Pong{hello_answer});
    source_is_known_ |= ping->value == parts_.token;
    return {};
  }
  if (!source_is_known_) return fail("The connection is not from the source of this guest");
  if (const auto* request = std::get_if<wire::ReceivedBitmapRequest>(&command))
    return send_bitmap(request->block);
  if (std::holds_alternative<wire::PostcopyResume>(command)) return resume();
  return fail("the source sends {}, which has no place in postcopy", wire::name_of(command));
}

Result<> PostcopyReceiver::send_bitmap(const std::string& name) {
  if (phase_ != Phase::recovering) return {};  // as a 7.2 peer: only a source that comes back may ask
  const auto at = std::ranges::find(parts_.blocks, name, &RamBlock::name);
  if (at == parts_.blocks.end())
    return fail("the source asks for RAM block '{}', which does not exist here", name);
  wire::encode_return_message(out_, wire::ReceivedBitmap{name});
  parts_.missing.encode_received(static_cast<std::size_t>(at - parts_.blocks.begin()), out_);
  return {};
}

Result<> PostcopyReceiver::resume() {
  if (phase_ != Phase::recovering) {
    log::warn("the source resumes a connection that is not broken");
    return {};
  }
  phase_ = Phase::pages;
  parts_.status.to(Status::postcopy_recover, Status::postcopy_active);
  wire::encode_return_message(out_, wire::ResumeAck{1});
  resumed_ = true;
  if (guest_started_) say_that_the_guest_runs();
  faults_.ask_again(out_);
  return {};
}

/// What was said before may have been lost with a connection, and a source that does not know may be told to
/// take the guest back.
void PostcopyReceiver::say_that_the_guest_runs() {
  if (parts_.token && in_ && phase_ == Phase::pages)
    wire::encode_return_message(out_, wire::Pong{ping_in_package});
}

/// Of one of the channels.
Result<> PostcopyReceiver::end_of_stream() {
  if (!main_ended_ || urgent_in_ || urgent_awaited_) return {};
  if (!parts_.missing.none())
    return fail("The source ends the stream, and {} pages have not come", parts_.missing.count());
  phase_ = Phase::ended;
  return {};
}

Result<> PostcopyReceiver::finish() {
  wire::encode_return_message(out_, wire::Shut{0});
  GODWIT_TRY(flush());
  finished_ = true;
  return {};
}

// ---- connections

void PostcopyReceiver::prepare_channel() {
  in_->read_at_most(kMostPerRead);
  parts_.channel.get()->set_patience(Milliseconds(parts_.settings.postcopy_timeout_ms()));
  heard_at_ = wrote_at_ = parts_.clock.now();
}

void PostcopyReceiver::connect(std::unique_ptr<channel::Channel> channel) {
  if (in_) return connect_urgent(std::move(channel));
  auto in = std::make_unique<channel::ChannelInput>(*channel);
  if (!parts_.status.to(Status::postcopy_paused, Status::postcopy_recover)) return;
  parts_.channel.put(std::move(channel), false);
  in_ = std::move(in);
  phase_ = Phase::recovering;
  source_is_known_ = urgent_is_known_ = !parts_.token;
  main_ended_ = false;
  urgent_awaited_ = parts_.preempt;
  stream_.restart();
  faults_.forget_block();
  out_.clear();
  prepare_channel();
}

/// The second connection that comes is the urgent one, even if it comes after the source has resumed: who
/// accepts may be slower than who reads. More are not expected, nor is one at any other time.
void PostcopyReceiver::connect_urgent(std::unique_ptr<channel::Channel> channel) {
  if (!std::exchange(urgent_awaited_, false)) {
    log::warn("a connection from {} is not expected: it is closed", channel->peer());
    return;
  }
  parts_.urgent_channel.put(std::move(channel), false);
  prepare_urgent_channel();
  urgent_stream_.restart();
}

/// Whoever waits for the rest of a page there does not look at anything else.
void PostcopyReceiver::prepare_urgent_channel() {
  channel::Channel& channel = *parts_.urgent_channel.get();
  channel.set_patience(Milliseconds(parts_.settings.postcopy_timeout_ms()));
  urgent_in_ = std::make_unique<channel::ChannelInput>(channel, Input::window_limit);
}

void PostcopyReceiver::lose(const Error& why) {
  if (stopping_) return log::debug("{}", why.what());
  if (!in_) return log::error("{}", why.explain());
  log::warn("{}", Error(why)
                      .at(Side::destination, "postcopy")
                      .advise("migrate-recover here, then migrate with resume=true on the source; the guest "
                              "runs on with the pages that are here")
                      .explain());
  in_.reset();
  urgent_in_.reset();
  urgent_awaited_ = false;
  out_.clear();
  for (ChannelSlot* slot : {&parts_.channel, &parts_.urgent_channel}) {
    slot->shutdown();
    slot->close();
  }
  stream_.restart();
  urgent_stream_.restart();
  reached(phase_ == Phase::recovering ? Probe::broken_in_recovery : Probe::destination_paused);
  phase_ = Phase::pages;
  {
    std::lock_guard lock(mutex_);
    if (mail_.stop) return;
  }
  parts_.status.to({Status::postcopy_active, Status::postcopy_recover}, Status::postcopy_paused);
}

}  // namespace godwit::engine
