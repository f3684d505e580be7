// The destination: listens, accepts one source, loads the guest and starts it (control-plane section 4.2).
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <godwit/guest.h>
#include <godwit/migration.h>

#include "channel/channel.h"
#include "channel/listener.h"
#include "engine/channel_slot.h"
#include "engine/incoming/incoming_context.h"
#include "engine/incoming/incoming_postcopy.h"
#include "engine/incoming/listener_slot.h"
#include "engine/incoming/mapped_ram_reader.h"
#include "engine/incoming/multifd_receiver.h"
#include "engine/incoming/stream_loader.h"
#include "engine/ownership.h"

namespace godwit::engine {

/// Threads: the constructor starts the incoming thread; the queries may be called from any thread. The
/// destructor ends waiting and loading, and joins.
class IncomingMigration {
 public:
  IncomingMigration(IncomingContext context, std::unique_ptr<channel::Listener> listener);
  ~IncomingMigration();

  /// What is listened on; empty once the guest was taken over.
  std::vector<channel::ListeningAddress> addresses() const { return listener_.addresses(); }
  /// Why loading failed, once the status is failed.
  std::optional<std::string> error_text() const;

  /// Breaks the connection. The status is postcopy-active.
  void pause() { channel_.shutdown(); }
  /// For a source that is to come back, elsewhere. The status is postcopy-paused.
  void stop_listening() { listener_.close(); }
  void listen_on(std::unique_ptr<channel::Listener> listener) { listener_.put(std::move(listener)); }

  /// Null when it was not measured.
  const Blocktime* blocktime() const;

 private:
  void run();
  Result<> accept_all();
  void turn_others_away();
  Result<> accept_multifd(std::unique_ptr<channel::Channel> first);
  Result<> open_mapped(const channel::Channel& channel);
  Result<> load(channel::Channel& channel);
  Result<> load_precopy_part(StreamLoader& loader, const Capabilities& capabilities);
  Result<> end_multifd(Result<> loaded);
  Result<> finish_precopy(StreamLoader& loader, const StreamLoader::Reply& reply, Result<> loaded);
  Result<> finish_postcopy(Result<> loaded);
  Result<> start_received(RunState state);
  void fail_for_good(const Error& error);

  const IncomingContext context_;
  ListenerSlot listener_;
  ChannelSlot channel_;
  ChannelSlot urgent_channel_;           ///< with postcopy-preempt
  std::vector<std::byte> already_read_;  ///< of the main channel
  Ownership ownership_{Owner::there};
  std::atomic<bool> ending_{false};
  std::atomic<bool> accepting_{true};
  mutable std::mutex mutex_;  ///< guards what follows against others than the incoming thread
  std::unique_ptr<IncomingPostcopy> postcopy_;
  std::unique_ptr<MultifdReceiver> multifd_;  ///< the channels besides the main one, if there are to be any
  std::unique_ptr<MappedRamReader> mapped_;   ///< with mapped-ram
  std::optional<std::string> error_text_;
  std::jthread thread_;
};

}  // namespace godwit::engine
