// The destination in postcopy: one thread that looks after page faults and after the connection, so that a
// fault wakes nobody but it, here, and the thread that answers, there.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>

#include <godwit/guest.h>
#include <godwit/stream.h>

#include "base/clock.h"
#include "base/system.h"
#include "channel/channel.h"
#include "channel/channel_input.h"
#include "engine/channel_slot.h"
#include "engine/incoming/blocktime.h"
#include "engine/incoming/fault_handler.h"
#include "engine/incoming/missing_pages.h"
#include "engine/incoming/page_placer.h"
#include "engine/incoming/postcopy_stream.h"
#include "engine/settings.h"
#include "engine/status_machine.h"
#include "memory/postcopy_memory.h"
#include "wire/return_path.h"

namespace godwit::engine {

/// What the receiver works with. All of it outlives the receiver.
struct PostcopyParts {
  std::span<const RamBlock> blocks;
  memory::PostcopyMemory& memory;
  MissingPages& missing;
  Blocktime* blocktime;  ///< null: not measured
  Clock& clock;
  Settings& settings;
  StatusMachine& status;
  ChannelSlot& channel;
  ChannelSlot& urgent_channel;  ///< may be empty
  bool preempt;                 ///< the source opens a second connection, for pages that are waited for
  std::uint32_t ram_section;    ///< the source's number for section "ram"
  bool footers;                 ///< sections have them
  std::optional<std::uint32_t> token;  ///< by which a Godwit as source is known again
};

class PostcopyReceiver {
 public:
  /// `in` is the rest of the main connection.
  PostcopyReceiver(PostcopyParts parts, std::unique_ptr<channel::ChannelInput> in);
  ~PostcopyReceiver() { stop(); }

  /// Starts the thread.
  void start();

  /// Any thread: another connection, of the source or of a stranger.
  void attach(std::unique_ptr<channel::Channel> channel);
  /// Any thread: sends a message, after those that were given before. Dropped where there is no connection.
  void send(const wire::ReturnMessage& message);
  /// Any thread: the guest may run. When all pages are here the source is told so.
  void guest_started();
  /// Waits until all pages are here and the source has been told. False: stopped before.
  bool wait_finished();
  /// Any thread: sends what was given to send, and ends.
  void stop();

 private:
  /// What others have left for the thread.
  struct Mail {
    std::vector<std::unique_ptr<channel::Channel>> channels;
    Output messages;
    bool guest_started = false;
    bool stop = false;
  };
  enum class Phase : std::uint8_t {
    pages,       ///< they come
    recovering,  ///< on a new connection, before the source has resumed
    ended,       ///< all have come
  };

  void run();
  void take_mail();
  void take_faults();
  Result<> turn();
  Result<> finish();
  Result<> read();
  Result<> read_urgent();
  Result<> recognize_urgent();
  Result<> execute(const wire::Command& command);
  Result<> send_bitmap(const std::string& name);
  Result<> resume();
  void say_that_the_guest_runs();
  Result<> end_of_stream();
  Result<> beat();
  Result<> flush();
  Result<> wait();
  void connect(std::unique_ptr<channel::Channel> channel);
  void connect_urgent(std::unique_ptr<channel::Channel> channel);
  void prepare_channel();
  void prepare_urgent_channel();
  void lose(const Error& why);

  PostcopyParts parts_;
  PagePlacer placer_;
  PagePlacer urgent_placer_;
  PostcopyStream stream_;
  UrgentStream urgent_stream_;
  FaultHandler faults_;

  // Of the thread.
  std::unique_ptr<channel::ChannelInput> in_;  ///< null: no connection
  std::unique_ptr<channel::ChannelInput> urgent_in_;
  Output out_;       ///< not written yet
  Output requests_;  ///< of the faults that were just taken
  Phase phase_ = Phase::pages;
  bool urgent_awaited_ = false;  ///< the source's second connection has not come yet
  bool main_ended_ = false;      ///< the source has sent everything on the main channel
  /// The last wait found some, there was none since, or who waited has its page and goes on.
  bool may_have_faults_ = true;
  bool readable_ = false;
  bool urgent_readable_ = false;
  bool source_is_known_ = true;  ///< on this connection it has shown the token, or there is none
  bool urgent_is_known_ = true;  ///< the same of the second connection
  bool guest_started_ = false;
  bool resumed_ = false;  ///< at least once
  bool finished_ = false;
  bool stopping_ = false;
  bool fault_error_reported_ = false;
  Nanoseconds heard_at_{0};
  Nanoseconds wrote_at_{0};
  Nanoseconds awake_until_{0};

  std::mutex mutex_;
  Mail mail_;  ///< guarded by mutex_
  std::atomic<bool> has_mail_{false};
  WakeFd wake_;
  Event done_;
  std::atomic<bool> completed_{false};
  std::jthread thread_;  // last: it uses everything above
};

}  // namespace godwit::engine
