#include "wire/command.h"

#include <cassert>

#include "base/fail.h"
#include "wire/record.h"

namespace godwit::wire {
namespace {

enum class Code : std::uint16_t {
  open_return_path = 1,
  ping = 2,
  postcopy_advise = 3,
  postcopy_listen = 4,
  postcopy_run = 5,
  postcopy_ram_discard = 6,
  packaged = 7,
  enable_colo = 8,
  postcopy_resume = 9,
  recv_bitmap = 10,
  switchover_start = 11,
};

constexpr std::uint8_t discard_version = 0;
constexpr std::size_t range_size = 16;

template <typename... F>
struct Overloaded : F... {
  using F::operator()...;
};

struct Head {
  Code code;
  std::uint16_t length;
  std::uint64_t offset;  ///< of the command's number
};

Result<> expect_length(const Head& head, std::string_view name, std::uint16_t length) {
  if (head.length == length) return {};
  return fail("command {}: expected a length of {} at offset {:#x}, got {}", name, length, head.offset + 2,
              head.length);
}

template <typename T>
Result<Command> decode_empty(const Head& head) {
  GODWIT_TRY(expect_length(head, name_of(Command(T{})), 0));
  return T{};
}

Result<Command> decode_ping(Input& in, const Head& head) {
  GODWIT_TRY(expect_length(head, "PING", 4));
  GODWIT_ASSIGN(const std::uint32_t value, in.be32());
  return Ping{value};
}

Result<Command> decode_packaged(Input& in, const Head& head) {
  GODWIT_TRY(expect_length(head, "PACKAGED", 4));
  GODWIT_ASSIGN(const std::uint32_t length, in.be32());
  return Packaged{length};
}

Result<Command> decode_advise(Input& in, const Head& head) {
  if (head.length == 0) return PostcopyAdvise{};
  if (head.length != 16)
    return fail("command POSTCOPY_ADVISE: expected a length of 0 or 16 at offset {:#x}, got {}",
                head.offset + 2, head.length);
  PostcopyAdvise::PageSizes sizes;
  GODWIT_ASSIGN(sizes.host_summary, in.be64());
  GODWIT_ASSIGN(sizes.target, in.be64());
  return PostcopyAdvise{sizes};
}

Result<std::string> decode_block_name(Input& in) {
  const std::uint64_t offset = in.offset();
  GODWIT_ASSIGN(std::string name, in.counted_text());
  if (name.empty()) return fail("expected the name of a block at offset {:#x}, got an empty one", offset);
  return name;
}

Result<Command> decode_discard(Input& in, const Head& head) {
  const std::uint64_t start = in.offset();
  if (head.length < 3 + 1 + range_size)
    return fail("command POSTCOPY_RAM_DISCARD: expected a length of at least {} at offset {:#x}, got {}",
                4 + range_size, head.offset + 2, head.length);
  GODWIT_ASSIGN(const std::uint8_t version, in.u8());
  if (version != discard_version)
    return fail("command POSTCOPY_RAM_DISCARD: expected version {} at offset {:#x}, got {}", discard_version,
                start, version);
  PostcopyDiscard discard;
  GODWIT_ASSIGN(discard.block, decode_block_name(in));
  GODWIT_ASSIGN(const std::uint8_t terminator, in.u8());
  if (terminator != 0)
    return fail(
        "command POSTCOPY_RAM_DISCARD: expected a zero byte behind the name at offset {:#x}, got {:#04x}",
        in.offset() - 1, terminator);
  const std::uint64_t used = in.offset() - start;
  if (used + range_size > head.length || (head.length - used) % range_size != 0)
    return fail(
        "command POSTCOPY_RAM_DISCARD: expected whole ranges of {} bytes at offset {:#x}, got a length of {}",
        range_size, in.offset(), head.length);
  for (std::uint64_t left = (head.length - used) / range_size; left > 0; --left) {
    PostcopyDiscard::Range range;
    GODWIT_ASSIGN(range.start, in.be64());
    GODWIT_ASSIGN(range.length, in.be64());
    discard.ranges.push_back(range);
  }
  return discard;
}

Result<Command> decode_recv_bitmap(Input& in, const Head& head) {
  GODWIT_ASSIGN(std::string name, decode_block_name(in));
  GODWIT_TRY(expect_length(head, "RECV_BITMAP", static_cast<std::uint16_t>(1 + name.size())));
  return ReceivedBitmapRequest{std::move(name)};
}

void encode_head(Output& out, Code code, std::size_t length) {
  assert(length <= 65535);
  out.u8(static_cast<std::uint8_t>(RecordType::command));
  out.be16(static_cast<std::uint16_t>(code));
  out.be16(static_cast<std::uint16_t>(length));
}

void encode_discard(Output& out, const PostcopyDiscard& discard) {
  assert(!discard.ranges.empty() && discard.ranges.size() <= discard_range_limit);
  encode_head(out, Code::postcopy_ram_discard, 3 + discard.block.size() + range_size * discard.ranges.size());
  out.u8(discard_version);
  out.counted_text(discard.block);
  out.u8(0);
  for (const auto& range : discard.ranges) {
    out.be64(range.start);
    out.be64(range.length);
  }
}

void encode_advise(Output& out, const PostcopyAdvise& advise) {
  encode_head(out, Code::postcopy_advise, advise.page_sizes ? 16 : 0);
  if (!advise.page_sizes) return;
  out.be64(advise.page_sizes->host_summary);
  out.be64(advise.page_sizes->target);
}

}  // namespace

std::string_view name_of(const Command& command) {
  return std::visit(Overloaded{
                        [](const OpenReturnPath&) { return std::string_view("OPEN_RETURN_PATH"); },
                        [](const Ping&) { return std::string_view("PING"); },
                        [](const PostcopyAdvise&) { return std::string_view("POSTCOPY_ADVISE"); },
                        [](const PostcopyListen&) { return std::string_view("POSTCOPY_LISTEN"); },
                        [](const PostcopyRun&) { return std::string_view("POSTCOPY_RUN"); },
                        [](const PostcopyDiscard&) { return std::string_view("POSTCOPY_RAM_DISCARD"); },
                        [](const Packaged&) { return std::string_view("PACKAGED"); },
                        [](const EnableColo&) { return std::string_view("ENABLE_COLO"); },
                        [](const PostcopyResume&) { return std::string_view("POSTCOPY_RESUME"); },
                        [](const ReceivedBitmapRequest&) { return std::string_view("RECV_BITMAP"); },
                        [](const SwitchoverStart&) { return std::string_view("SWITCHOVER_START"); },
                    },
                    command);
}

void encode_command(Output& out, const Command& command) {
  std::visit(Overloaded{
                 [&](const OpenReturnPath&) { encode_head(out, Code::open_return_path, 0); },
                 [&](const Ping& ping) {
                   encode_head(out, Code::ping, 4);
                   out.be32(ping.value);
                 },
                 [&](const PostcopyAdvise& advise) { encode_advise(out, advise); },
                 [&](const PostcopyListen&) { encode_head(out, Code::postcopy_listen, 0); },
                 [&](const PostcopyRun&) { encode_head(out, Code::postcopy_run, 0); },
                 [&](const PostcopyDiscard& discard) { encode_discard(out, discard); },
                 [&](const Packaged& packaged) {
                   encode_head(out, Code::packaged, 4);
                   out.be32(packaged.length);
                 },
                 [&](const EnableColo&) { encode_head(out, Code::enable_colo, 0); },
                 [&](const PostcopyResume&) { encode_head(out, Code::postcopy_resume, 0); },
                 [&](const ReceivedBitmapRequest& request) {
                   encode_head(out, Code::recv_bitmap, 1 + request.block.size());
                   out.counted_text(request.block);
                 },
                 [&](const SwitchoverStart&) { encode_head(out, Code::switchover_start, 0); },
             },
             command);
}

Result<Command> decode_command(Input& in) {
  Head head;
  head.offset = in.offset();
  GODWIT_ASSIGN(const std::uint16_t code, in.be16());
  GODWIT_ASSIGN(head.length, in.be16());
  head.code = static_cast<Code>(code);
  switch (head.code) {
    case Code::open_return_path:
      return decode_empty<OpenReturnPath>(head);
    case Code::ping:
      return decode_ping(in, head);
    case Code::postcopy_advise:
      return decode_advise(in, head);
    case Code::postcopy_listen:
      return decode_empty<PostcopyListen>(head);
    case Code::postcopy_run:
      return decode_empty<PostcopyRun>(head);
    case Code::postcopy_ram_discard:
      return decode_discard(in, head);
    case Code::packaged:
      return decode_packaged(in, head);
    case Code::enable_colo:
      return decode_empty<EnableColo>(head);
    case Code::postcopy_resume:
      return decode_empty<PostcopyResume>(head);
    case Code::recv_bitmap:
      return decode_recv_bitmap(in, head);
    case Code::switchover_start:
      return decode_empty<SwitchoverStart>(head);
  }
  return fail("expected a command from 1 to {} at offset {:#x}, got {}",
              static_cast<std::uint16_t>(Code::switchover_start), head.offset, code);
}

}  // namespace godwit::wire
