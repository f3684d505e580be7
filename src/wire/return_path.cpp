#include "wire/return_path.h"

#include <bit>
#include <cassert>

#include "base/fail.h"

namespace godwit::wire {
namespace {

enum class Code : std::uint16_t {
  shut = 1,
  pong = 2,
  req_pages_id = 3,
  req_pages = 4,
  recv_bitmap = 5,
  resume_ack = 6,
  switchover_ack = 7,
};

constexpr std::uint64_t bitmap_end_mark = 0x0123456789abcdef;

template <typename... F>
struct Overloaded : F... {
  using F::operator()...;
};

void encode_head(Output& out, Code code, std::size_t length) {
  assert(length <= return_message_limit);
  out.be16(static_cast<std::uint16_t>(code));
  out.be16(static_cast<std::uint16_t>(length));
}

void encode_page_request(Output& out, const PageRequest& request) {
  if (request.block)
    encode_head(out, Code::req_pages_id, 13 + request.block->size());
  else
    encode_head(out, Code::req_pages, 12);
  out.be64(request.start);
  out.be32(request.length);
  if (request.block) out.counted_text(*request.block);
}

struct Head {
  std::uint16_t length;
  std::uint64_t offset;  ///< of the message
};

Result<> expect_length(const Head& head, std::string_view name, std::size_t length) {
  if (head.length == length) return {};
  return fail("return path message {}: expected a length of {} at offset {:#x}, got {}", name, length,
              head.offset + 2, head.length);
}

template <typename T>
Result<ReturnMessage> decode_u32(Input& in, const Head& head) {
  GODWIT_TRY(expect_length(head, name_of(ReturnMessage(T{})), 4));
  GODWIT_ASSIGN(const std::uint32_t value, in.be32());
  return T{value};
}

Result<std::string> decode_block_name(Input& in) {
  const std::uint64_t offset = in.offset();
  GODWIT_ASSIGN(std::string name, in.counted_text());
  if (name.empty()) return fail("expected the name of a block at offset {:#x}, got an empty one", offset);
  return name;
}

Result<ReturnMessage> decode_page_request(Input& in, const Head& head, bool with_name) {
  if (!with_name) GODWIT_TRY(expect_length(head, "REQ_PAGES", 12));
  if (with_name && head.length < 13)
    return fail("return path message REQ_PAGES_ID: expected a length of at least 13 at offset {:#x}, got {}",
                head.offset + 2, head.length);
  PageRequest request;
  GODWIT_ASSIGN(request.start, in.be64());
  GODWIT_ASSIGN(request.length, in.be32());
  if (with_name) {
    GODWIT_ASSIGN(request.block, decode_block_name(in));
    GODWIT_TRY(expect_length(head, "REQ_PAGES_ID", 13 + request.block->size()));
  }
  return request;
}

Result<ReturnMessage> decode_recv_bitmap(Input& in, const Head& head) {
  GODWIT_ASSIGN(std::string name, decode_block_name(in));
  GODWIT_TRY(expect_length(head, "RECV_BITMAP", 1 + name.size()));
  return ReceivedBitmap{std::move(name)};
}

Result<> decode_end_mark(Input& in) {
  const std::uint64_t offset = in.offset();
  GODWIT_ASSIGN(const std::uint64_t mark, in.be64());
  if (mark != bitmap_end_mark)
    return fail("received bitmap: expected the end mark {:#018x} at offset {:#x}, got {:#018x}",
                bitmap_end_mark, offset, mark);
  return {};
}

}  // namespace

std::string_view name_of(const ReturnMessage& message) {
  return std::visit(Overloaded{
                        [](const Shut&) { return std::string_view("SHUT"); },
                        [](const Pong&) { return std::string_view("PONG"); },
                        [](const PageRequest& request) {
                          return request.block ? std::string_view("REQ_PAGES_ID")
                                               : std::string_view("REQ_PAGES");
                        },
                        [](const ReceivedBitmap&) { return std::string_view("RECV_BITMAP"); },
                        [](const ResumeAck&) { return std::string_view("RESUME_ACK"); },
                        [](const SwitchoverAck&) { return std::string_view("SWITCHOVER_ACK"); },
                    },
                    message);
}

void encode_return_message(Output& out, const ReturnMessage& message) {
  const auto u32 = [&out](Code code, std::uint32_t value) {
    encode_head(out, code, 4);
    out.be32(value);
  };
  std::visit(Overloaded{
                 [&](const Shut& shut) { u32(Code::shut, shut.status); },
                 [&](const Pong& pong) { u32(Code::pong, pong.value); },
                 [&](const PageRequest& request) { encode_page_request(out, request); },
                 [&](const ReceivedBitmap& bitmap) {
                   encode_head(out, Code::recv_bitmap, 1 + bitmap.block.size());
                   out.counted_text(bitmap.block);
                 },
                 [&](const ResumeAck& ack) { u32(Code::resume_ack, ack.value); },
                 [&](const SwitchoverAck&) { encode_head(out, Code::switchover_ack, 0); },
             },
             message);
}

Result<ReturnMessage> decode_return_message(Input& in) {
  Head head;
  head.offset = in.offset();
  GODWIT_ASSIGN(const std::uint16_t code, in.be16());
  GODWIT_ASSIGN(head.length, in.be16());
  if (head.length > return_message_limit)
    return fail("return path: expected a length of at most {} at offset {:#x}, got {}", return_message_limit,
                head.offset + 2, head.length);
  switch (static_cast<Code>(code)) {
    case Code::shut:
      return decode_u32<Shut>(in, head);
    case Code::pong:
      return decode_u32<Pong>(in, head);
    case Code::req_pages_id:
      return decode_page_request(in, head, true);
    case Code::req_pages:
      return decode_page_request(in, head, false);
    case Code::recv_bitmap:
      return decode_recv_bitmap(in, head);
    case Code::resume_ack:
      return decode_u32<ResumeAck>(in, head);
    case Code::switchover_ack:
      GODWIT_TRY(expect_length(head, "SWITCHOVER_ACK", 0));
      return SwitchoverAck{};
  }
  return fail("return path: expected a message from 1 to {} at offset {:#x}, got {}",
              static_cast<std::uint16_t>(Code::switchover_ack), head.offset, code);
}

void encode_received_bitmap(Output& out, std::span<const std::uint64_t> words, std::uint64_t pages) {
  assert(words.size() == (pages + 63) / 64);
  out.be64(words.size() * 8);
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::uint64_t word = words[i];
    if (i + 1 == words.size() && pages % 64 != 0) word &= (std::uint64_t{1} << (pages % 64)) - 1;
    out.be64(std::byteswap(word));  // little-endian on the wire
  }
  out.be64(bitmap_end_mark);
}

Result<> decode_received_bitmap(Input& in, std::span<std::uint64_t> words, std::uint64_t pages) {
  assert(words.size() == (pages + 63) / 64);
  const std::uint64_t offset = in.offset();
  GODWIT_ASSIGN(const std::uint64_t size, in.be64());
  if (size != words.size() * 8)
    return fail("received bitmap: expected {} bytes for {} pages at offset {:#x}, got {}", words.size() * 8,
                pages, offset, size);
  for (std::uint64_t& word : words) {
    GODWIT_ASSIGN(const std::uint64_t wire_word, in.be64());
    word = std::byteswap(wire_word);
  }
  if (pages % 64 != 0) words.back() &= (std::uint64_t{1} << (pages % 64)) - 1;
  return decode_end_mark(in);
}

Result<std::uint64_t> count_received_bitmap(Input& in) {
  const std::uint64_t offset = in.offset();
  GODWIT_ASSIGN(const std::uint64_t size, in.be64());
  if (size % 8 != 0)
    return fail("received bitmap: expected whole words of 8 bytes at offset {:#x}, got {} bytes", offset,
                size);
  std::uint64_t pages = 0;
  for (std::uint64_t left = size / 8; left > 0; --left) {
    GODWIT_ASSIGN(const std::uint64_t word, in.be64());
    pages += static_cast<std::uint64_t>(std::popcount(word));
  }
  GODWIT_TRY(decode_end_mark(in));
  return pages;
}

}  // namespace godwit::wire
