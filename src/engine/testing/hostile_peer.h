// A peer that keeps to the protocol up to a step of it, and then does something else.
#pragma once

#include <cstdint>
#include <ostream>
#include <stdexcept>
#include <string>

#include "base/fail.h"
#include "base/testing/temporary_directory.h"
#include "channel/address.h"
#include "channel/channel.h"

namespace godwit::engine::testing {

/// How far a migration has come.
enum class Step : std::uint8_t {
  connect,
  header,
  configuration,
  block_list,
  mid_page,
  before_eof,
  after_eof,
};

/// What the peer does then.
enum class Deed : std::uint8_t {
  closes,
  stalls,
  sends_garbage,
  says_it_failed,     ///< SHUT(1)
  says_it_runs,       ///< SHUT(0)
  sends_a_page_wish,  ///< a message that has no place in precopy
};

inline std::string to_string(Step step) {
  constexpr const char* names[] = {"Connect", "Header",    "Configuration", "BlockList",
                                   "MidPage", "BeforeEof", "AfterEof"};
  return names[static_cast<std::size_t>(step)];
}

inline std::string to_string(Deed deed) {
  constexpr const char* names[] = {"Closes",       "Stalls",     "SendsGarbage",
                                   "SaysItFailed", "SaysItRuns", "SendsAPageWish"};
  return names[static_cast<std::size_t>(deed)];
}

/// The value, or the end of the test.
template <typename T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().explain());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

}  // namespace godwit::engine::testing
