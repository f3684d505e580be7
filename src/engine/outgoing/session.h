// What the phases of one outgoing attempt share: settings, the channel and its writer, RAM, the figures, and
// who may run the guest.
#pragma once

#include <atomic>
#include <memory>
#include <optional>

#include <godwit/guest.h>
#include <godwit/migration.h>

#include "base/clock.h"
#include "base/system.h"
#include "channel/channel.h"
#include "channel/connector.h"
#include "channel/interrupt.h"
#include "engine/channel_slot.h"
#include "engine/convergence.h"
#include "engine/greeting.h"
#include "engine/limit_converge.h"
#include "engine/outgoing/auto_lanes_report.h"
#include "engine/outgoing/lanes.h"
#include "engine/outgoing/ram_saver.h"
#include "engine/outgoing/return_path.h"
#include "engine/outgoing/stream_writer.h"
#include "engine/ownership.h"
#include "engine/settings.h"
#include "engine/statistics.h"
#include "engine/status_machine.h"
#include "engine/throttle.h"
#include "wire/record.h"

namespace godwit::engine {

/// What an attempt works with. All of it outlives the attempt.
struct OutgoingContext {
  Guest& guest;
  MigrationObserver& observer;
  Clock& clock;
  Settings& settings;
  StatusMachine& status;
  const MigrationOptions& options;
  DirtyLimiter& dirty_limiter;
  channel::Connect connect = [](const channel::Address& address, const channel::Interrupt& interrupt) {
    NoDescriptors none;
    return channel::connect(address, none, interrupt);
  };
};

/// Used by the migration thread, but for what says otherwise.
struct OutgoingSession {
  explicit OutgoingSession(OutgoingContext given)
      : context(given),
        capabilities(given.settings.capabilities()),
        lanes(given.guest, capabilities, given.settings, statistics),
        ram(given.guest.ram_blocks(), given.guest.dirty_tracker(), lanes, statistics.ram,
            capabilities.has(Capability::x_ignore_shared)) {
    if (has(Capability::auto_converge)) auto_converge.emplace(given.guest, statistics.throttle_percent);
    if (has(Capability::dirty_limit)) limit_converge.emplace(given.dirty_limiter);
  }

  bool has(Capability capability) const { return capabilities.has(capability); }
  bool cancelled() const { return ending.load(); }
  /// Ends every wait, for good. Any thread.
  void end();

  /// Collects what became dirty: a pass.
  Result<> synchronize();
  /// In the middle of a pass, with auto-converge: finds out how fast the guest writes, so that a throttle
  /// does not wait for the end of the pass.
  Result<> look_at_writes();
  /// With x-auto-lanes, before the second pass, in which the guest is found to have written to so much.
  void choose_lanes(std::uint64_t hot_pages);
  /// Takes the figures of the last window, if it is over.
  void update_window();
  /// What the current window may still carry at `bandwidth` bytes per second (0: no limit).
  std::uint64_t quota_left(std::uint64_t bandwidth) const {
    return window.quota_left(bytes_sent(), bandwidth);
  }
  /// Over all channels.
  std::uint64_t bytes_sent() const { return out->bytes() + lanes.bytes_beside_main(); }

  /// The parts of a record of section "ram" before and behind its pages. They wait in `out` until its next
  /// write.
  void begin_ram_section(wire::RecordType type);
  Result<> end_ram_section();

  /// Stops the guest for the hand-over, and remembers what it did before.
  Result<> stop_guest();
  /// With pause-before-switchover: waits in that status until told to go on, to `next`.
  Result<> wait_before_switchover(Status next);

  /// Any thread: whoever uses a channel sees that it is broken.
  void shut_down_channels() noexcept;
  /// The guest runs at full speed again.
  void release_guest() noexcept {
    auto_converge.reset();
    limit_converge.reset();
  }
  /// Shuts the channels down and forgets them, their writers, the return path and what the lanes keep.
  void close_channels();

  /// So many pages were found to be written to.
  void count_written(std::uint64_t pages);

  const OutgoingContext context;
  const Capabilities capabilities;

  channel::Interrupt interrupt;              ///< ends a connection attempt; any thread
  std::atomic<bool> ending{false};           ///< somebody wants the attempt to end; any thread
  std::atomic<bool> postcopy_wanted{false};  ///< any thread
  Event wake;                                ///< something of the above, or a resume, is new; any thread
  WakeFd polled_wake;                        ///< the same for who polls a channel; any thread
  Event proceed;                             ///< ends the wait before the switchover; any thread
  ChannelSlot channel;
  Statistics statistics;             ///< read by any thread
  Ownership ownership{Owner::here};  ///< read by any thread

  const std::uint32_t token = random_token();  ///< by which the destination knows this attempt again
  bool peer_is_godwit = false;

  ChannelSlot urgent_channel;  ///< with postcopy-preempt: for pages that somebody waits for

  std::unique_ptr<StreamWriter> out;
  std::unique_ptr<StreamWriter> urgent_out;  ///< null: they go on the main channel
  std::unique_ptr<ReturnPath> return_path;   ///< null where the destination is not asked to answer
  Lanes lanes;                               ///< shutdown(): any thread
  RamSaver ram;
  BandwidthWindow window;
  DirtyRate dirty_rate;
  std::optional<AutoConverge> auto_converge;    ///< unset: the guest is not throttled
  AutoLanesReport auto_lanes;                   ///< read by any thread
  int periods_left_to_deltas = 0;               ///< with x-auto-lanes: before the guest is throttled
  std::optional<LimitConverge> limit_converge;  ///< unset: its vCPUs are not limited
  std::uint64_t remaining_at_sync = 0;          ///< bytes
  std::optional<RunState> state_before_stop;    ///< set while the guest is stopped for the switchover
  Nanoseconds stopped_at{0};                    ///< when the decision to stop it fell
  std::uint64_t bytes_before = 0;               ///< what connections carried that were lost
};

}  // namespace godwit::engine
