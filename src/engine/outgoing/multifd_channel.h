// What one data channel of multifd writes: the initial packet, packets with their pages, SYNC packets.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <godwit/ram_block.h>
#include <godwit/result.h>

#include "channel/channel.h"
#include "wire/multifd_compression.h"

namespace godwit::engine {

struct MultifdSettings;

/// One thread; shutdown() from any.
class MultifdChannelWriter {
 public:
  struct Written {
    std::uint64_t bytes = 0;
    bool copied = false;  ///< of SYNC: zero copy was asked for, and bytes since the last one were copied
  };

  /// Takes the connection over and introduces it as channel `id`.
  static Result<MultifdChannelWriter> make(std::unique_ptr<channel::Channel> channel,
                                           const MultifdSettings& settings, std::uint8_t id);

  /// Writes the packet and the pages it names. The guest may write to them meanwhile: such a page is dirty
  /// again.
  Result<Written> write(wire::MultifdPacket& packet, const RamBlock& block);
  /// Writes a SYNC packet, which has no pages.
  Result<Written> synchronize(std::uint64_t number);

  void shutdown() noexcept { channel_->shutdown(); }

 private:
  explicit MultifdChannelWriter(std::unique_ptr<channel::Channel> channel, wire::MultifdMethod method,
                                bool zero_copy)
      : channel_(std::move(channel)), method_(method), zero_copy_(zero_copy) {}

  void gather(const wire::MultifdPacket& packet, const RamBlock& block);

  std::unique_ptr<channel::Channel> channel_;
  wire::MultifdMethod method_;
  bool zero_copy_;
  bool lent_ = false;  ///< the kernel may still read guest memory
  std::unique_ptr<wire::MultifdCompressor> compressor_;
  std::unique_ptr<std::array<std::byte, wire::MultifdPacket::header_size>> header_ =
      std::make_unique<std::array<std::byte, wire::MultifdPacket::header_size>>();
  std::vector<iovec> parts_;  ///< the header, then what the packet carries
};

}  // namespace godwit::engine
