// Postcopy at the destination, from the first announcement to the last page: what was agreed, what is
// missing, who reads the connection (wire-format sections 7.3 to 7.9).
//
//   none -> advised -> discarding -> listening -> running
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

#include "engine/channel_slot.h"
#include "engine/incoming/blocktime.h"
#include "engine/incoming/incoming_context.h"
#include "engine/incoming/listener_slot.h"
#include "engine/incoming/missing_pages.h"
#include "engine/incoming/postcopy_receiver.h"
#include "engine/incoming/postcopy_target.h"
#include "engine/incoming/recovery.h"
#include "memory/postcopy_memory.h"

namespace godwit::engine {

/// Used by the incoming thread, but for what says otherwise.
class IncomingPostcopy final : public PostcopyTarget {
 public:
  /// `enabled`: the capability postcopy-ram is on.
  IncomingPostcopy(const IncomingContext& context, const Capabilities& capabilities, ChannelSlot& channel,
                   ChannelSlot& urgent_channel, ListenerSlot& listener);
  ~IncomingPostcopy() override { stop(); }

  /// The connection's input, which listen() gives to another thread.
  void set_input(std::unique_ptr<channel::ChannelInput> in) { in_ = std::move(in); }
  channel::ChannelInput& input() { return *in_; }

  Result<> advise(const wire::PostcopyAdvise& advise) override;
  bool advised() const override { return state_ != State::none; }
  Result<> discard(const wire::PostcopyDiscard& discard) override;
  Result<> listen(std::uint32_t ram_section) override;
  Result<> run() override;
  bool running() const override { return state_ == State::running; }
  void heard_ping(std::uint32_t value) override;
  bool source_is_godwit() const override { return token_.has_value(); }

  /// The guest is in its state here, and is not to run anywhere else.
  bool started() const { return started_; }
  /// Another thread reads the connection and writes to it.
  bool listening() const { return receiver_ != nullptr; }
  /// A message to the source; listening() is true.
  void send(const wire::ReturnMessage& message) { receiver_->send(message); }
  /// Waits until all pages are here. False: stopped before.
  bool wait_finished() { return receiver_->wait_finished(); }
  /// The guest cannot be loaded: says so to the source and ends.
  void refuse();
  /// Precopy has brought everything.
  void not_needed();

  /// Any thread: ends everything; whoever waits for a page goes on with zeros. For the end of the process.
  void stop();
  /// Any thread: null when it is not measured.
  const Blocktime* blocktime() const { return measured_.load(); }

 private:
  enum class State : std::uint8_t { none, advised, discarding, listening, running };

  Result<> check_sizes(const wire::PostcopyAdvise& advise) const;

  const IncomingContext& context_;
  const Capabilities capabilities_;
  ChannelSlot& channel_;
  ChannelSlot& urgent_channel_;
  memory::PostcopyMemory memory_;
  MissingPages missing_;
  std::unique_ptr<Blocktime> blocktime_;
  std::atomic<const Blocktime*> measured_{nullptr};
  State state_ = State::none;
  bool started_ = false;
  bool greeted_ = false;                ///< the source's last ping was a hello
  std::optional<std::uint32_t> token_;  ///< of a source that is a Godwit
  std::unique_ptr<channel::ChannelInput> in_;
  std::mutex mutex_;      ///< guards receiver_ and memory_ against stop()
  bool stopped_ = false;  ///< guarded by mutex_
  std::unique_ptr<PostcopyReceiver> receiver_;
  IncomingRecovery recovery_;
};

}  // namespace godwit::engine
