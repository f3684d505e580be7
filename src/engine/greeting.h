// How two Godwits recognize each other, with nothing but PING and PONG: any other peer just echoes.
//
// A source that may go into postcopy sends PING hello and PING token. A Godwit answers the hello with a
// second PONG that nobody else sends, and keeps the token: only a source that sends it again may resume. With
// postcopy-preempt the source sends it on the second connection too, before its first page there. Two
// Godwits ping each other when the connection is idle, so that a dead one is noticed, and
// the destination says when the package has arrived.
#pragma once

#include <chrono>
#include <cstdint>

#include <godwit/stream.h>

namespace godwit::engine {

inline constexpr std::uint32_t hello = 0x62747764;  // any value that no peer uses
inline constexpr std::uint32_t hello_answer = ~hello;
inline constexpr std::uint32_t heartbeat = 0x62747762;
/// Answered without being asked, when all of the package but its last byte has arrived: that byte can lose
/// the guest, and nothing else can.
inline constexpr std::uint32_t package_arrived = 0x62747763;

/// The PING in the package, as a 7.2 source has it. A Godwit says its PONG again when a connection is taken
/// up and the guest runs: the first may have been lost with the connection before.
inline constexpr std::uint32_t ping_in_package = 3;

/// How long a connection between two Godwits may be idle before they ping.
inline constexpr std::chrono::milliseconds heartbeat_interval{500};

/// Differs from attempt to attempt, and from the values with a meaning.
std::uint32_t random_token();

void encode_greeting(Output& out, std::uint32_t token);

}  // namespace godwit::engine
