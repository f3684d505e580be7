// A stream of bytes to and from the peer of a migration. Plain blocking vectored I/O.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <sys/uio.h>

#include <godwit/result.h>

namespace godwit::channel {

/// One open transport.
///
/// Threads: one thread writes, one (the same or another) reads; shutdown() may be called from any thread at
/// any time until the channel is destroyed. finish_writing() belongs to the writing thread,
/// wait_for_peer_close() to the reading one. The owner destroys the channel when no call is under way; that
/// closes it at once, and ends a command that still runs.
///
/// Errors: `Unable to write to socket: Broken pipe`, `Unable to read from command: ...`; after shutdown(),
/// `The channel was shut down`.
class Channel {
 public:
  virtual ~Channel() = default;
  Channel() = default;
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  /// Writes all parts in order, however many there are; returns when the kernel has taken the last byte.
  /// Never raises SIGPIPE. After an error an unknown part was written: the stream is unusable.
  virtual Result<> write(std::span<const iovec> parts) = 0;
  Result<> write(std::span<const std::byte> bytes) {
    const iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
    return write(std::span(&part, 1));
  }

  /// Like write(), but the kernel may go on reading the bytes where they are until finish_zero_copy() has
  /// returned: what they are changed to meanwhile may be sent. Where that is not possible they are copied, as
  /// by write().
  virtual Result<> write_zero_copy(std::span<const iovec> parts) { return write(parts); }
  /// Waits until the kernel has let go of them. True if none since the last call were copied. Belongs to the
  /// writing thread.
  virtual Result<bool> finish_zero_copy() { return false; }

  /// Waits for at least one byte and reads what is there, at most the room in `parts`, filling them in order.
  /// 0 is the end of the stream (or no room at all).
  virtual Result<std::size_t> read(std::span<const iovec> parts) = 0;
  Result<std::size_t> read(std::span<std::byte> into) {
    const iovec part{into.data(), into.size()};
    return read(std::span(&part, 1));
  }

  /// What is there, without waiting. 0 where that is nothing, the end or an error, and where the transport
  /// cannot say: read() tells.
  virtual std::size_t read_what_is_there(std::span<std::byte> into) {
    (void)into;
    return 0;
  }

  /// Ends both directions for good: blocked and later calls fail. Bytes written before may still arrive.
  virtual void shutdown() noexcept = 0;

  /// Says "no more bytes" to the peer; reading goes on. A socket is half closed, a file is closed (not
  /// synced). A command sees the end of its input and is waited for; it is an error if it does not exit with
  /// status 0. What such a command still prints is dropped, unless somebody reads the channel.
  virtual Result<> finish_writing() = 0;

  /// Waits until the peer closes its end; what it sends until then is dropped. False if it did not within
  /// `timeout`; an error if the connection broke instead. True at once where there is no peer to close (a
  /// file, the writing end of a pipe).
  virtual Result<bool> wait_for_peer_close(std::chrono::milliseconds timeout) = 0;

  /// For poll(): ready when read(), or write(), would find something to do. -1 where the transport cannot be
  /// polled.
  virtual int read_descriptor() const { return -1; }
  virtual int write_descriptor() const { return -1; }
  /// Bytes are here already that the descriptor does not show any more.
  virtual bool has_unread() const { return false; }
  /// A read or write that moves nothing for so long fails: the peer is taken for dead. Zero, as at the start:
  /// it waits for ever. Belongs to the thread that reads and writes.
  virtual void set_patience(std::chrono::milliseconds patience) { (void)patience; }
  /// Keeps little between the two ends from here on, so that what is written next arrives soon, even where
  /// bulk data goes slower for it.
  virtual void prefer_latency() {}

  /// "socket", "command", "file", "pipe": the noun of error texts.
  virtual std::string_view kind() const = 0;
  /// Whether the peer can answer: a return path is possible.
  virtual bool two_way() const = 0;
  /// Whether further channels to the same peer can be opened.
  virtual bool multi_channel() const = 0;
  /// Whether it is a regular file or block device, of which every place can be written.
  bool seekable() const { return file() >= 0; }
  /// The descriptor of such a file, for who reads or writes at places of its own (PositionedFile). It stays
  /// the channel's. -1: this is no file.
  virtual int file() const { return -1; }
  /// Goes on `count` bytes behind where it stands; what a writer leaves out so reads as zeros. Belongs to the
  /// thread that reads or writes. False: it stays where it is, because it is no file, or one that ends
  /// before.
  virtual Result<bool> pass_over(std::uint64_t count) {
    (void)count;
    return false;
  }
  /// The other end, for logs: "127.0.0.1:40312", "/run/m.sock", "exec:gzip > f".
  virtual std::string peer() const = 0;
};

}  // namespace godwit::channel
