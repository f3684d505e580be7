#include "cli/inspect/side_streams.h"

#include <fmt/ranges.h>

#include "base/fail.h"
#include "cli/quantity.h"
#include "wire/command.h"
#include "wire/multifd.h"
#include "wire/multifd_compression.h"
#include "wire/record.h"
#include "wire/return_path.h"

namespace godwit::cli::inspect {
namespace {

void add_message(Inspection& found, std::uint64_t offset, std::string text) {
  if (found.messages.size() < message_limit)
    found.messages.push_back({offset, std::move(text)});
  else
    ++found.dropped_messages;
}

std::string text_of(const wire::ReturnMessage& message) {
  std::string text(wire::name_of(message));
  if (const auto* shut = std::get_if<wire::Shut>(&message))
    return text +
           fmt::format(" {} ({})", shut->status,
                       shut->status == 0 ? "the guest runs at the destination" : "the destination failed");
  if (const auto* pong = std::get_if<wire::Pong>(&message)) return text + fmt::format(" {}", pong->value);
  if (const auto* request = std::get_if<wire::PageRequest>(&message))
    return text + fmt::format(" {} at {:#x}, {} bytes", request->block.value_or("(same block)"),
                              request->start, count_text(request->length));
  if (const auto* bitmap = std::get_if<wire::ReceivedBitmap>(&message)) return text + " " + bitmap->block;
  if (const auto* ack = std::get_if<wire::ResumeAck>(&message)) return text + fmt::format(" {}", ack->value);
  return text;
}

/// The compression of a channel, by the first packet that has data.
wire::MultifdMethod method_of(std::uint32_t flags) {
  switch (flags & 0xe) {
    case 0x2:
      return wire::MultifdMethod::zlib;
    case 0x4:
      return wire::MultifdMethod::zstd;
    default:
      return wire::MultifdMethod::none;
  }
}

std::string_view name_of(wire::MultifdMethod method) {
  switch (method) {
    case wire::MultifdMethod::none:
      return "not compressed";
    case wire::MultifdMethod::zlib:
      return "zlib";
    case wire::MultifdMethod::zstd:
      return "zstd";
  }
  return "unknown";
}

class ChannelReader {
 public:
  ChannelReader(Input& in, Inspection& found, const CollectorOptions& options)
      : in_(in), found_(found), options_(options), collector_(in, found, options) {}

  Result<> run() {
    GODWIT_ASSIGN(const auto hello, wire::decode_multifd_hello(in_));
    add_message(found_, 0, fmt::format("channel {}, UUID {:02x}", hello.channel, fmt::join(hello.uuid, "")));
    for (;;) {
      GODWIT_ASSIGN(const bool end, in_.at_end());
      if (end) return summary();
      GODWIT_TRY(packet());
    }
  }

 private:
  Result<> packet() {
    const std::uint64_t start = in_.offset();
    GODWIT_TRY(choose());
    GODWIT_TRY(reader_->next(in_));
    const auto& packet = reader_->packet();
    syncs_ += packet.sync() ? 1 : 0;
    ++packets_;
    if (packet.pages() == 0) return {};
    Block& block = found_.blocks[reader_->block().index];
    block.pages.normal += packet.normal_pages;
    block.pages.zero += packet.zero_pages;
    GODWIT_TRY(data(packet));
    for (const std::uint64_t offset : packet.zero())
      if (options_.image != nullptr)
        GODWIT_TRY(options_.image->fill(reader_->block().index, offset, std::byte{0}));
    block.wire_bytes += in_.offset() - start;
    return {};
  }

  /// Makes the reader as soon as the compression is known.
  Result<> choose() {
    if (reader_ && chosen_) return {};
    GODWIT_ASSIGN(const auto head, in_.need(20));
    SpanInput fields(head.subspan(8));
    GODWIT_ASSIGN(const std::uint32_t flags, fields.be32());
    GODWIT_TRY(fields.be32());
    GODWIT_ASSIGN(const std::uint32_t pages, fields.be32());
    chosen_ = pages > 0;
    method_ = method_of(flags);
    reader_.emplace(method_, [this](std::string_view name) { return collector_.block_named(name); });
    if (method_ == wire::MultifdMethod::none) return {};
    GODWIT_ASSIGN(decompressor_, wire::make_multifd_decompressor(method_));
    return {};
  }

  Result<> data(const wire::MultifdPacket& packet) {
    if (packet.normal_pages == 0) return {};
    const bool wanted = options_.image != nullptr || options_.check_pages;
    if (!wanted || (method_ == wire::MultifdMethod::none && options_.image == nullptr))
      return in_.discard(reader_->data());
    pages_.resize(packet.normal_pages * page_size);
    if (method_ == wire::MultifdMethod::none) {
      GODWIT_TRY(in_.read(pages_));
    } else {
      std::array<std::byte*, wire::MultifdPacket::page_limit> places;
      for (std::size_t i = 0; i < packet.normal_pages; ++i) places[i] = pages_.data() + i * page_size;
      GODWIT_TRY(decompressor_->read(in_, reader_->data(), std::span(places).first(packet.normal_pages)));
    }
    if (options_.image == nullptr) return {};
    for (std::size_t i = 0; i < packet.normal_pages; ++i)
      GODWIT_TRY(options_.image->write(reader_->block().index, packet.normal()[i],
                                       std::span(pages_).subspan(i * page_size, page_size)));
    return {};
  }

  Result<> summary() {
    add_message(found_, in_.offset(),
                fmt::format("{} packets, {} with a sync, {}", count_text(packets_), count_text(syncs_),
                            name_of(method_)));
    return {};
  }

  Input& in_;
  Inspection& found_;
  const CollectorOptions options_;
  Collector collector_;
  std::optional<wire::MultifdReader> reader_;
  std::unique_ptr<wire::MultifdDecompressor> decompressor_;
  wire::MultifdMethod method_ = wire::MultifdMethod::none;
  bool chosen_ = false;
  std::uint64_t packets_ = 0;
  std::uint64_t syncs_ = 0;
  std::vector<std::byte> pages_;
};

}  // namespace

Result<> read_return_path(Input& in, Inspection& found) {
  for (;;) {
    GODWIT_ASSIGN(const bool end, in.at_end());
    if (end) return {};
    const std::uint64_t offset = in.offset();
    GODWIT_ASSIGN(const auto message, wire::decode_return_message(in));
    std::string text = text_of(message);
    if (std::holds_alternative<wire::ReceivedBitmap>(message)) {
      GODWIT_ASSIGN(const std::uint64_t pages, wire::count_received_bitmap(in));
      text += fmt::format(": {} pages have arrived", count_text(pages));
    }
    add_message(found, offset, std::move(text));
  }
}

Result<> read_colo_answers(Input& in, Inspection& found) {
  for (;;) {
    GODWIT_ASSIGN(const bool end, in.at_end());
    if (end) return {};
    const std::uint64_t offset = in.offset();
    GODWIT_ASSIGN(const auto message, wire::decode_colo_message(in));
    if (wire::is_from_primary(message.id))
      return fail("COLO: expected a message of the secondary at offset {:#x}, got {}", offset,
                  wire::to_string(message.id));
    if (message.id == wire::ColoMessage::Id::checkpoint_reply) ++found.checkpoints;
    add_message(found, offset, std::string(wire::to_string(message.id)));
  }
}

Result<> read_urgent_channel(Input& in, Collector& collector) {
  GODWIT_ASSIGN(const auto first, in.need(1));
  if (static_cast<wire::RecordType>(first[0]) == wire::RecordType::command) {
    in.skip(1);
    GODWIT_TRY(wire::decode_command(in));  // a Godwit's PING
  }
  wire::PageReader reader([&](std::string_view name) { return collector.block_named(name); });
  for (;;) {
    GODWIT_ASSIGN(const auto record, reader.next(in));
    if (record.kind == wire::PageKind::end_of_section) break;
    if (wire::is_page(record.kind)) GODWIT_TRY(collector.page(record, in));
  }
  GODWIT_ASSIGN(const bool end, in.at_end());
  if (!end) return fail("expected the end of the channel at offset {:#x}, more bytes follow", in.offset());
  return {};
}

Result<> read_multifd_channel(Input& in, Inspection& found, const CollectorOptions& options) {
  return ChannelReader(in, found, options).run();
}

}  // namespace godwit::cli::inspect
