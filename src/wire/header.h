// The beginning of a stream: file header and configuration section (wire-format sections 1.1 and 1.3).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <godwit/stream.h>

namespace godwit::wire {

inline constexpr std::uint32_t stream_magic = 0x5145564d;  // "QEVM"
inline constexpr std::uint32_t stream_version = 3;

void encode_file_header(Output& out);
Result<> decode_file_header(Input& in);

/// The configuration section. Each optional part is one subsection, present only when it is set.
struct Configuration {
  std::string machine;                               ///< machine type, e.g. "none"
  std::optional<std::uint32_t> target_page_bits;     ///< never sent by x86
  std::vector<std::string> capabilities;             ///< validated capabilities that are on; empty: not sent
  std::optional<std::array<std::uint8_t, 16>> uuid;  ///< in the order of the text form
  bool operator==(const Configuration&) const = default;
};

/// Bounds on what a peer may send; a real one stays far below.
inline constexpr std::uint32_t machine_name_limit = 1024;
inline constexpr std::uint32_t capability_count_limit = 256;

/// With its type byte.
void encode_configuration(Output& out, const Configuration& configuration);
/// With its type byte. A stream without the section fails with "configuration section missing".
Result<Configuration> decode_configuration(Input& in);

/// Does a received configuration fit the local one, by the rules of a 7.2 destination: the received machine
/// name is compared over its own length, the validated capabilities must be the same on both sides, a UUID
/// that both sides have must be equal. The value is a warning for the log, empty when there is none.
Result<std::string> check_configuration(const Configuration& received, const Configuration& local);

}  // namespace godwit::wire
