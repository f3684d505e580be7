// What happens to one simulated migration: made from a seed, and from nothing else.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace godwit::engine::simulation {

enum class Mode : std::uint8_t { precopy, precopy_answered, postcopy };

enum class Way : std::uint8_t { to_destination, to_source };

enum class Fault : std::uint8_t {
  cut_losing,      ///< the connection breaks; what is on its way is lost
  cut_delivering,  ///< the connection breaks; what is on its way arrives
  stall,           ///< nothing moves on, for a while
  truncate,        ///< the reader sees an end, the writer sees nothing
  duplicate,       ///< bytes come twice
  vanish,          ///< both ends write, nothing arrives, nobody is told
  half_open,       ///< the same, and the end that writes is told
  crash_source,
  crash_destination,
  cancel,
  pause_source,
  pause_destination,
  count
};

/// How a silence ends.
enum class Ending : std::uint8_t { release, give_up, cancel, pause, count };

/// Where in the bytes of one write.
enum class Place : std::uint8_t { before, behind_first, middle, before_last, behind, count };

struct Trigger {
  unsigned connection;  ///< 0: the main one; the others in the order in which the source makes them
  Way way;
  unsigned write;  ///< the how manieth of this way, on its connection
  Place place;
  Fault fault;
  Ending ending;  ///< of a silence
};

struct Plan {
  std::uint64_t seed = 0;
  Mode mode = Mode::precopy;
  std::uint64_t pages = 0;
  unsigned blocks = 1;        ///< of RAM
  bool preallocated = false;  ///< the destination's memory is there before its pages come
  unsigned passes = 0;        ///< in how many of them the guest writes
  /// Besides the main connection: data channels of multifd, or the one for pages that are waited for.
  unsigned multifd_channels = 0;
  bool preempt = false;
  bool tls = false;
  /// Connections have to show what they are before the engine is given them. With several, or TLS, always.
  bool looked_at = false;
  bool pause_before_switchover = false;
  bool xbzrle = false;
  bool state_does_not_load = false;
  bool guest_does_not_start = false;
  bool starts_stopped = false;  ///< the guest stands still at the source when the migration starts
  unsigned touches = 0;         ///< pages the guest uses at the destination, in postcopy
  /// The first one, then those in which a broken postcopy is taken up again; there are no faults beyond
  /// these.
  std::vector<std::vector<Trigger>> attempts;

  unsigned connections() const { return 1 + multifd_channels + (preempt ? 1 : 0); }
};

Plan make_plan(std::uint64_t seed);

/// For people.
std::string describe(const Plan& plan);

std::string_view to_string(Fault fault);

}  // namespace godwit::engine::simulation
