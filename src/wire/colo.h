// What the two sides of COLO say to each other once the first migration is through (wire-format section 10).
#pragma once

#include <cstdint>
#include <string_view>

#include <godwit/stream.h>

namespace godwit::wire {

struct ColoMessage {
  enum class Id : std::uint32_t {
    checkpoint_ready = 0,
    checkpoint_request = 1,
    checkpoint_reply = 2,
    vmstate_send = 3,  ///< records follow, up to an end of stream
    vmstate_size = 4,  ///< `size` bytes of records follow
    vmstate_received = 5,
    vmstate_loaded = 6,
  };
  Id id = Id::checkpoint_ready;
  std::uint64_t size = 0;  ///< of vmstate_size: bytes
  bool operator==(const ColoMessage&) const = default;
};

/// "CHECKPOINT_READY", ...
std::string_view to_string(ColoMessage::Id id);

/// True of the messages that the primary sends.
bool is_from_primary(ColoMessage::Id id);

void encode_colo_message(Output& out, const ColoMessage& message);
Result<ColoMessage> decode_colo_message(Input& in);

}  // namespace godwit::wire
