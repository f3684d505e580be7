#include "wire/colo.h"

#include "base/fail.h"

namespace godwit::wire {

std::string_view to_string(ColoMessage::Id id) {
  using Id = ColoMessage::Id;
  switch (id) {
    case Id::checkpoint_ready:
      return "CHECKPOINT_READY";
    case Id::checkpoint_request:
      return "CHECKPOINT_REQUEST";
    case Id::checkpoint_reply:
      return "CHECKPOINT_REPLY";
    case Id::vmstate_send:
      return "VMSTATE_SEND";
    case Id::vmstate_size:
      return "VMSTATE_SIZE";
    case Id::vmstate_received:
      return "VMSTATE_RECEIVED";
    case Id::vmstate_loaded:
      return "VMSTATE_LOADED";
  }
  return "unknown";
}

bool is_from_primary(ColoMessage::Id id) {
  using Id = ColoMessage::Id;
  return id == Id::checkpoint_request || id == Id::vmstate_send || id == Id::vmstate_size;
}

void encode_colo_message(Output& out, const ColoMessage& message) {
  out.be32(static_cast<std::uint32_t>(message.id));
  if (message.id == ColoMessage::Id::vmstate_size) out.be64(message.size);
}

Result<ColoMessage> decode_colo_message(Input& in) {
  const std::uint64_t offset = in.offset();
  GODWIT_ASSIGN(const std::uint32_t id, in.be32());
  if (id > static_cast<std::uint32_t>(ColoMessage::Id::vmstate_loaded))
    return fail("COLO: expected a message from 0 to {} at offset {:#x}, got {}",
                static_cast<std::uint32_t>(ColoMessage::Id::vmstate_loaded), offset, id);
  ColoMessage message{static_cast<ColoMessage::Id>(id), 0};
  if (message.id == ColoMessage::Id::vmstate_size) {
    GODWIT_ASSIGN(message.size, in.be64());
  }
  return message;
}

}  // namespace godwit::wire
