// Postcopy at the source: the guest goes to the destination at once, and what it misses follows, what it asks
// for first (wire-format section 7).
//
//   discards of what is dirty | guest stops | discards of what is dirty since, PING 2 -> PONG 2 -> package
//   without its last byte | hand-over | last byte -> pages ... EOF -> SHUT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/outgoing/page_requests.h"
#include "engine/outgoing/postcopy_pages.h"
#include "engine/outgoing/session.h"

namespace godwit::engine {

/// Used by the migration thread. It reads requests and answers them itself: a page request wakes one thread
/// here, and no other.
class PostcopyPhase {
 public:
  explicit PostcopyPhase(OutgoingSession& session);

  /// Stops the guest and hands it over. After an error the session's Ownership says whether it may run here.
  Result<> switch_over();

  /// Sends pages until the destination has said that it has all. An error means that the connection is of no
  /// use any more; everything the destination has not got is still here.
  Result<> serve();

  /// On a new connection: compares what the destination has with what was sent (wire-format section 7.9).
  Result<> resume();

 private:
  /// What a wait found.
  struct Ready {
    bool readable = false;
    bool writable = false;
  };

  Result<> send_pages();
  void hear_last_words();
  Result<> let_it_catch_up();
  Result<> stop_guest();
  Result<> send_package();
  Result<> hear();
  Result<> hear(const wire::ReturnMessage& message);
  void hear_pong(const wire::Pong& pong);
  Result<> answer(const wire::PageRequest& request);
  Result<> hear_verdict(std::uint32_t status);
  Result<> hear_bitmap(const std::string& name, std::vector<std::optional<DirtyBitmap>>& missing);
  Result<> send_background();
  Result<> end_stream();
  Result<> beat();
  Result<Ready> wait();
  void open_section();
  Result<> close_section();
  void begin_connection();
  void begin_channel(channel::Channel& channel);
  std::uint64_t quota_left() const;

  OutgoingSession& session_;
  PageRequests requests_;
  std::optional<PostcopyPages> pages_;  ///< once the guest stands still
  PageConnection main_;
  PageConnection urgent_;  ///< for pages that are asked for; without a channel of their own: not used
  bool section_open_ = false;
  bool ended_ = false;                  ///< everything was sent, EOF included
  bool completed_ = false;              ///< the destination has said that it has it
  std::uint64_t useless_requests_ = 0;  ///< for pages that were sent before
  Nanoseconds heard_at_{0};
  Nanoseconds wrote_at_{0};
  Nanoseconds pinged_at_{0};
  Nanoseconds answered_at_{};  ///< when the last requested page was written
};

}  // namespace godwit::engine
