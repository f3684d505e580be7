// One GnuTLS session between two byte buffers: no I/O, no blocking.
#pragma once

#include <cstddef>
#include <functional>
#include <gnutls/gnutls.h>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <godwit/result.h>

#include "channel/tls/certificate_check.h"
#include "channel/tls/credentials.h"

namespace godwit::channel {

/// Encrypts and decrypts; whoever owns it moves the encrypted bytes. GnuTLS allows a session one call at a
/// time, so every call takes the session's lock, and none of them waits for the peer while it has it. So a
/// thread may send while another one receives.
class TlsSession {
 public:
  /// Looks at the peer's certificate while the handshake goes on. Unset: any peer will do.
  using Examine = std::function<std::optional<Refusal>(gnutls_session_t)>;

  /// `hostname` is the name a client asks for; may be empty.
  static Result<std::unique_ptr<TlsSession>> create(std::shared_ptr<const TlsCredentials> credentials,
                                                    const std::string& hostname, Examine examine);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  /// One step of the handshake. True once it is done; false: it needs bytes from the peer.
  Result<bool> handshake();
  /// Encrypts all of `plain`, at most max_record() bytes.
  Result<> encrypt(std::span<const std::byte> plain);
  /// The clear bytes of the next record, valid until the next call; only for the thread that reads.
  struct Decrypted {
    std::span<const std::byte> bytes{};
    bool needs_more = false;  ///< nothing there: needs bytes from the peer
    bool ended = false;       ///< the peer has ended the stream
  };
  Result<Decrypted> decrypt();
  /// A client whose certificate the server looks at only after the handshake.
  bool may_still_be_refused() const;
  /// Both ends are Godwits: the server says by the first byte of the stream that it has accepted the client.
  bool is_confirmed() const;
  bool is_server() const { return credentials_->options().endpoint == TlsEndpoint::server; }
  /// Says "no more bytes" to the peer.
  void close_sending();

  /// Takes the encrypted bytes that wait to be sent, in the order in which they have to be.
  void take_outgoing(std::vector<std::byte>& into);
  std::size_t outgoing_size();

  /// Room for encrypted bytes from the peer; only for the thread that reads, when the session needs more.
  std::span<std::byte> incoming_room();
  void received(std::size_t size);
  void peer_closed() { peer_closed_ = true; }
  /// Bytes from the peer are here already; only for the thread that reads.
  bool has_unread();

  std::size_t max_record() const { return gnutls_record_get_max_size(session_); }
  /// "TLS1.3, AES-128-GCM", for the log.
  std::string description() const;

 private:
  TlsSession(std::shared_ptr<const TlsCredentials> credentials, Examine examine);
  static int verify(gnutls_session_t session);
  static ssize_t push(gnutls_transport_ptr_t self, const void* bytes, std::size_t size);
  static ssize_t pull(gnutls_transport_ptr_t self, void* into, std::size_t size);

  const std::shared_ptr<const TlsCredentials> credentials_;
  const Examine examine_;
  std::optional<Refusal> refusal_;
  gnutls_session_t session_ = nullptr;

  std::mutex mutex_;  // one call into the session at a time; guards outgoing_
  std::vector<std::byte> outgoing_;

  // Of the reading thread: filled without the lock, emptied by pull(), which only its own calls lead to.
  std::vector<std::byte> incoming_;
  std::size_t incoming_at_ = 0;
  std::size_t incoming_end_ = 0;
  gnutls_packet_t record_ = nullptr;  // what decrypt() shows
  bool peer_closed_ = false;
};

}  // namespace godwit::channel
