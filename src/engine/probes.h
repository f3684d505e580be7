// Counters on paths that are rarely taken. A campaign of the simulation fails if it never took one of them:
// what is not reached is not tested.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace godwit::engine {

enum class Probe : std::uint8_t {
  // The source.
  eof_not_written,           ///< the byte of the hand-over was not taken: the guest is ours
  refused_before_eof,        ///< the destination did not give its last sign, or said that it failed
  refused_after_eof,         ///< ... and says so when everything was handed over
  verdict_missing,           ///< the return path broke behind the hand-over
  close_not_seen,            ///< no return path: the destination did not close in time, or broke off
  package_byte_not_sent,     ///< postcopy: the byte of the hand-over was not taken
  package_not_acknowledged,  ///< postcopy: no sign that the package has arrived
  refused_package,           ///< postcopy: the destination says that it has not let the guest run
  last_words_heard,          ///< postcopy: a message was read after the writing had failed
  source_paused,             ///< postcopy: the connection broke
  resume_failed,             ///< ... and broke again while it was taken up
  resumed,                   ///< ... and was taken up
  asked_for_sent_page,       ///< postcopy: a page is asked for that is on its way
  cancelled_in_setup,
  cancelled_in_active,
  cancelled_at_switchover,
  cancelled_while_paused,  ///< postcopy: by somebody who knows that the destination never ran the guest
  cancel_refused,          ///< postcopy: the destination has the guest
  handshake_broken,        ///< TLS: while a connection was made
  channel_lost,            ///< multifd: one of its channels broke, and the attempt with it
  given_back_running,      ///< the guest stood still for the hand-over, and runs again
  // The destination.
  load_failed,
  start_failed,  ///< everything was loaded, and the guest does not start
  verdict_not_delivered,
  description_missing,
  package_refused,
  destination_paused,
  broken_in_recovery,
  asked_again,                  ///< after a break: pages that the guest still waits for
  urgent_connection_lost,       ///< postcopy-preempt: the one for pages that are waited for
  channel_lost_at_destination,  ///< multifd: before the guest runs
  channel_lost_in_postcopy,     ///< multifd: afterwards, where it does no harm
  count
};

inline constexpr std::string_view probe_names[] = {"eof_not_written",
                                                   "refused_before_eof",
                                                   "refused_after_eof",
                                                   "verdict_missing",
                                                   "close_not_seen",
                                                   "package_byte_not_sent",
                                                   "package_not_acknowledged",
                                                   "refused_package",
                                                   "last_words_heard",
                                                   "source_paused",
                                                   "resume_failed",
                                                   "resumed",
                                                   "asked_for_sent_page",
                                                   "cancelled_in_setup",
                                                   "cancelled_in_active",
                                                   "cancelled_at_switchover",
                                                   "cancelled_while_paused",
                                                   "cancel_refused",
                                                   "handshake_broken",
                                                   "channel_lost",
                                                   "given_back_running",
                                                   "load_failed",
                                                   "start_failed",
                                                   "verdict_not_delivered",
                                                   "description_missing",
                                                   "package_refused",
                                                   "destination_paused",
                                                   "broken_in_recovery",
                                                   "asked_again",
                                                   "urgent_connection_lost",
                                                   "channel_lost_at_destination",
                                                   "channel_lost_in_postcopy"};
static_assert(std::size(probe_names) == static_cast<std::size_t>(Probe::count));

inline std::array<std::atomic<std::uint64_t>, static_cast<std::size_t>(Probe::count)> probe_hits{};

/// An increment without order: not for paths that are taken per page.
inline void reached(Probe probe) {
  probe_hits[static_cast<std::size_t>(probe)].fetch_add(1, std::memory_order_relaxed);
}

}  // namespace godwit::engine
