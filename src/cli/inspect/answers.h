// What the inspector says to a live source: enough to see the whole stream, and never that a guest runs here.
#pragma once

#include <atomic>
#include <mutex>
#include <thread>

#include <godwit/clock.h>
#include <godwit/result.h>

#include "channel/channel.h"
#include "wire/command.h"
#include "wire/return_path.h"

namespace godwit::cli::inspect {

/// Threads: the reading thread calls everything; refuse() may come from any thread. A thread of its own
/// refuses if the source falls silent after the end of its stream.
class Answers {
 public:
  /// `let_source_stop`: read on although the source, without a return path, gives its guest away at the end.
  Answers(channel::Channel& channel, Clock& clock, bool let_source_stop);
  ~Answers();

  /// Fails if going on would cost the source its guest.
  Result<> on_command(const wire::Command& command);
  /// The first section begins: everything about the return path has been said.
  Result<> on_section();
  /// The end of the stream: nothing but the description may still come.
  void on_eof();
  /// "The guest could not be loaded": the source runs it on. Sent once, if there is a return path.
  void refuse();
  /// The source listens to answers.
  bool open() const { return open_.load(); }
  /// One of the calls above has failed: the stream ends by our wish, not by its fault.
  bool turned_away() const { return turned_away_; }

 private:
  void send(const wire::ReturnMessage& message);
  std::unexpected<Error> turn_away(Error error);

  channel::Channel& channel_;
  Clock& clock_;
  const bool let_source_stop_;
  bool turned_away_ = false;  ///< reading thread
  std::atomic<bool> open_{false};
  std::atomic<bool> refused_{false};
  std::mutex writing_;
  Event done_;
  std::jthread late_;
};

}  // namespace godwit::cli::inspect
