// Bytes in, bytes out: what device state is written to and read from. All integers are big-endian
// (wire-format, conventions).
#pragma once

#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <sys/uio.h>
#include <vector>

#include <godwit/result.h>

namespace godwit {

/// A growing buffer of encoded bytes.
class Output {
 public:
  void u8(std::uint8_t value) { bytes_.push_back(static_cast<std::byte>(value)); }
  void be16(std::uint16_t value) { put(value); }
  void be32(std::uint32_t value) { put(value); }
  void be64(std::uint64_t value) { put(value); }
  void bytes(std::span<const std::byte> data) { bytes_.insert(bytes_.end(), data.begin(), data.end()); }
  void text(std::string_view text) { bytes(std::as_bytes(std::span(text))); }
  /// u8 length, then the text. At most 255 bytes: longer is the caller's mistake.
  void counted_text(std::string_view text) {
    u8(static_cast<std::uint8_t>(text.size()));
    this->text(text.substr(0, 255));
  }
  void zeros(std::size_t count) { bytes_.resize(bytes_.size() + count); }

  std::span<const std::byte> data() const { return bytes_; }
  std::size_t size() const { return bytes_.size(); }
  void clear() { bytes_.clear(); }
  /// Overwrites four bytes written before (a length known only later).
  void patch_be32(std::size_t at, std::uint32_t value);

 private:
  template <typename T>
  void put(T value) {
    if constexpr (std::endian::native == std::endian::little) value = std::byteswap(value);
    std::byte encoded[sizeof(T)];
    std::memcpy(encoded, &value, sizeof(T));
    bytes_.insert(bytes_.end(), encoded, encoded + sizeof(T));
  }
  std::vector<std::byte> bytes_;
};

/// A stream of bytes read front to back through a window. Decoders work on this and on nothing else, so that
/// the same decoder runs on a span in a test, under the fuzzer, and on a socket.
///
/// Nothing is ever allocated because a length field asks for it: need() is bounded by window_limit, and
/// larger data is read by its consumer in pieces, or straight to where it belongs with read().
class Input {
 public:
  /// The most that need() may be asked for.
  static constexpr std::size_t window_limit = 64 * 1024;

  virtual ~Input() = default;

  /// The next `count` bytes, unconsumed; valid until the next call that reads. Fails if the stream ends
  /// before.
  Result<std::span<const std::byte>> need(std::size_t count) {
    assert(count <= window_limit);
    if (static_cast<std::size_t>(end_ - at_) < count) [[unlikely]]
      GODWIT_TRY(fill(count));
    return std::span<const std::byte>(at_, count);
  }
  /// What is in the window already, unconsumed: never waits. Valid until the next call that reads.
  std::span<const std::byte> window() const { return {at_, static_cast<std::size_t>(end_ - at_)}; }
  /// Consumes bytes that need() or window() has shown.
  void skip(std::size_t count) { at_ += count; }

  Result<std::uint8_t> u8() { return get<std::uint8_t>(); }
  Result<std::uint16_t> be16() { return get<std::uint16_t>(); }
  Result<std::uint32_t> be32() { return get<std::uint32_t>(); }
  Result<std::uint64_t> be64() { return get<std::uint64_t>(); }
  /// u8 length, then that many bytes.
  Result<std::string> counted_text();
  /// Exactly into.size() bytes, straight into their place: what is in the window first, the rest without a
  /// detour.
  Result<> read(std::span<std::byte> into);
  /// Reads and drops `count` bytes, without copying them out of the window.
  Result<> discard(std::uint64_t count);
  /// True if the stream ends here. May wait for the peer.
  Result<bool> at_end();

  /// How many bytes were consumed since the start: what error messages call the offset.
  std::uint64_t offset() const { return window_end_offset_ - static_cast<std::uint64_t>(end_ - at_); }

  // ---- For a consumer that expects certain bytes next, and has a place for them.

  /// How many bytes can be consumed without reading.
  std::size_t buffered() const { return static_cast<std::size_t>(end_ - at_); }
  /// The most that one read_ahead() may ask for. 0: this input has no way to do it.
  virtual std::size_t read_ahead_limit() const { return 0; }
  /// Waits for at least one byte behind the window, which is empty, and reads what is there into `parts`, in
  /// order. The bytes count as consumed. 0 is the end of the stream.
  virtual Result<std::size_t> read_ahead(std::span<const iovec> parts) {
    (void)parts;
    return 0;
  }
  /// The last bytes that read_ahead() brought, which `parts` show, are not what was expected: they are the
  /// next ones again. They are copied, so that their places are free.
  virtual void give_back(std::span<const iovec> parts) { (void)parts; }

 protected:
  /// Makes at least `count` bytes available in the window [at_, end_), keeping the unconsumed ones, or fails
  /// with a text that names the offset and what was missing. count <= window_limit.
  virtual Result<> fill(std::size_t count) = 0;
  /// Reads at least one byte behind the empty window into `into`; fails at the end of the stream. The caller
  /// moves window_end_offset_.
  virtual Result<std::size_t> read_past_window(std::span<std::byte> into) = 0;
  /// True if no byte follows the window. Only called with an empty window.
  virtual Result<bool> nothing_follows() = 0;
  /// Passes over `count` bytes behind the empty window without reading them; the caller moves
  /// window_end_offset_. False: this input cannot, or does not have them.
  virtual Result<bool> jump(std::uint64_t count) {
    (void)count;
    return false;
  }

  /// What fill() fails with at the end of the stream: "expected 8 bytes at offset 0x1234, the stream ends
  /// after 3".
  std::unexpected<Error> ends_early(std::size_t expected) const;

  const std::byte* at_ = nullptr;
  const std::byte* end_ = nullptr;
  std::uint64_t window_end_offset_ = 0;  ///< stream offset of end_

 private:
  template <typename T>
  Result<T> get() {
    if (static_cast<std::size_t>(end_ - at_) < sizeof(T)) [[unlikely]]
      GODWIT_TRY(fill(sizeof(T)));
    T value;
    std::memcpy(&value, at_, sizeof(T));
    at_ += sizeof(T);
    if constexpr (std::endian::native == std::endian::little) value = std::byteswap(value);
    return value;
  }
};

/// A stream that is in memory already. Does not own the bytes. `start_offset` is what offset() begins with.
class SpanInput final : public Input {
 public:
  explicit SpanInput(std::span<const std::byte> bytes, std::uint64_t start_offset = 0) {
    at_ = bytes.data();
    end_ = bytes.data() + bytes.size();
    window_end_offset_ = start_offset + bytes.size();
  }

 protected:
  Result<> fill(std::size_t count) override;
  Result<std::size_t> read_past_window(std::span<std::byte> into) override;
  Result<bool> nothing_follows() override { return true; }
};

}  // namespace godwit
