#include "channel/tls/tls_session.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/fail.h"

namespace godwit::channel {
namespace {

/// One read of the transport: many records, so that a system call is paid once for all of them.
constexpr std::size_t incoming_capacity = std::size_t{256} * 1024;

/// What both ends have to know for is_confirmed(), by ALPN: other peers do not look at it.
constexpr std::string_view confirming = "godwit-confirms";

std::string explain(gnutls_session_t session, ssize_t code) {
  if (code == GNUTLS_E_FATAL_ALERT_RECEIVED) {
    const char* const name = gnutls_alert_get_name(gnutls_alert_get(session));
    return fmt::format("the peer refuses: {}", name ? name : "unknown alert");
  }
  return gnutls_strerror(static_cast<int>(code));
}

}  // namespace

TlsSession::TlsSession(std::shared_ptr<const TlsCredentials> credentials, Examine examine)
    : credentials_(std::move(credentials)), examine_(std::move(examine)), incoming_(incoming_capacity) {}

TlsSession::~TlsSession() {
  if (record_) gnutls_packet_deinit(record_);
  if (session_) gnutls_deinit(session_);
}

Result<std::unique_ptr<TlsSession>> TlsSession::create(std::shared_ptr<const TlsCredentials> credentials,
                                                       const std::string& hostname, Examine examine) {
  std::unique_ptr<TlsSession> self(new TlsSession(std::move(credentials), std::move(examine)));
  // A client shows the certificate it has even to a server that knows other authorities: then the refusal
  // says what is wrong, and not that there was none.
  const unsigned role = self->is_server() ? GNUTLS_SERVER : GNUTLS_CLIENT | GNUTLS_FORCE_CLIENT_CERT;
  if (const int code = gnutls_init(&self->session_, role | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL); code < 0)
    return fail("Cannot initialize TLS session: {}", gnutls_strerror(code));
  GODWIT_TRY(self->credentials_->equip(self->session_));
  if (!hostname.empty())
    gnutls_server_name_set(self->session_, GNUTLS_NAME_DNS, hostname.data(), hostname.size());
  std::string protocol(confirming);
  const gnutls_datum_t offered{reinterpret_cast<unsigned char*>(protocol.data()),
                               static_cast<unsigned>(protocol.size())};
  if (const int code = gnutls_alpn_set_protocols(self->session_, &offered, 1, 0); code < 0)
    return fail("Cannot initialize TLS session: {}", gnutls_strerror(code));
  gnutls_session_set_ptr(self->session_, self.get());
  if (self->examine_) gnutls_session_set_verify_function(self->session_, verify);
  gnutls_transport_set_ptr(self->session_, self.get());
  gnutls_transport_set_push_function(self->session_, push);
  gnutls_transport_set_pull_function(self->session_, pull);
  gnutls_transport_set_pull_timeout_function(self->session_,
                                             [](gnutls_transport_ptr_t, unsigned) { return 1; });
  return self;
}

/// Called by GnuTLS in the middle of handshake().
int TlsSession::verify(gnutls_session_t session) {
  auto& self = *static_cast<TlsSession*>(gnutls_session_get_ptr(session));
  self.refusal_ = self.examine_(session);
  return self.refusal_ ? GNUTLS_E_CERTIFICATE_ERROR : 0;
}

ssize_t TlsSession::push(gnutls_transport_ptr_t self, const void* bytes, std::size_t size) {
  auto& outgoing = static_cast<TlsSession*>(self)->outgoing_;
  const auto* const from = static_cast<const std::byte*>(bytes);
  outgoing.insert(outgoing.end(), from, from + size);
  return static_cast<ssize_t>(size);
}

ssize_t TlsSession::pull(gnutls_transport_ptr_t pointer, void* into, std::size_t size) {
  auto& self = *static_cast<TlsSession*>(pointer);
  const std::size_t count = std::min(size, self.incoming_end_ - self.incoming_at_);
  if (count == 0) {
    if (self.peer_closed_) return 0;
    gnutls_transport_set_errno(self.session_, EAGAIN);
    return -1;
  }
  std::memcpy(into, self.incoming_.data() + self.incoming_at_, count);
  self.incoming_at_ += count;
  return static_cast<ssize_t>(count);
}

Result<bool> TlsSession::handshake() {
  const std::lock_guard lock(mutex_);
  for (;;) {
    const int code = gnutls_handshake(session_);
    if (code == GNUTLS_E_SUCCESS) return true;
    if (code == GNUTLS_E_AGAIN) return false;
    if (code == GNUTLS_E_INTERRUPTED || code == GNUTLS_E_WARNING_ALERT_RECEIVED) continue;
    if (refusal_) {
      gnutls_alert_send(session_, GNUTLS_AL_FATAL, refusal_->alert);
      return fail(refusal_->error);
    }
    gnutls_alert_send_appropriate(session_, code);
    return fail("TLS handshake failed: {}", explain(session_, code));
  }
}

Result<> TlsSession::encrypt(std::span<const std::byte> plain) {
  const std::lock_guard lock(mutex_);
  while (!plain.empty()) {
    const ssize_t sent = gnutls_record_send(session_, plain.data(), plain.size());
    if (sent == GNUTLS_E_INTERRUPTED || sent == GNUTLS_E_AGAIN) continue;
    if (sent < 0) return fail("Cannot write to TLS channel: {}", explain(session_, sent));
    plain = plain.subspan(static_cast<std::size_t>(sent));
  }
  return {};
}

/// GnuTLS keeps a record where it has decrypted it: who scatters it calls for it once, and not once for each
/// part.
Result<TlsSession::Decrypted> TlsSession::decrypt() {
  if (record_) gnutls_packet_deinit(std::exchange(record_, nullptr));
  const std::lock_guard lock(mutex_);
  for (;;) {
    const ssize_t got = gnutls_record_recv_packet(session_, &record_);
    if (got > 0) {
      gnutls_datum_t bytes{};
      gnutls_packet_get(record_, &bytes, nullptr);
      return Decrypted{.bytes = std::as_bytes(std::span(bytes.data, bytes.size))};
    }
    if (got == 0) return Decrypted{.ended = true};
    // Peers end a channel by closing the connection, without a word of TLS. A stream that was cut is known by
    // its own end mark, so nothing is lost by taking the one for the other.
    if (got == GNUTLS_E_PREMATURE_TERMINATION) return Decrypted{.ended = true};
    if (got == GNUTLS_E_AGAIN) return Decrypted{.needs_more = true};
    if (got == GNUTLS_E_INTERRUPTED || got == GNUTLS_E_WARNING_ALERT_RECEIVED) continue;
    return fail("Cannot read from TLS channel: {}", explain(session_, got));
  }
}

bool TlsSession::may_still_be_refused() const {
  return !is_server() && credentials_->options().kind == TlsKind::certificates &&
         gnutls_protocol_get_version(session_) >= GNUTLS_TLS1_3;
}

bool TlsSession::is_confirmed() const {
  gnutls_datum_t selected{};
  return gnutls_alpn_get_selected_protocol(session_, &selected) == GNUTLS_E_SUCCESS;
}

void TlsSession::close_sending() {
  const std::lock_guard lock(mutex_);
  gnutls_bye(session_, GNUTLS_SHUT_WR);
}

void TlsSession::take_outgoing(std::vector<std::byte>& into) {
  into.clear();
  const std::lock_guard lock(mutex_);
  std::swap(into, outgoing_);
}

std::size_t TlsSession::outgoing_size() {
  const std::lock_guard lock(mutex_);
  return outgoing_.size();
}

bool TlsSession::has_unread() {
  if (incoming_at_ < incoming_end_) return true;
  const std::lock_guard lock(mutex_);
  return gnutls_record_check_pending(session_) > 0;
}

std::span<std::byte> TlsSession::incoming_room() {
  if (incoming_at_ == incoming_end_) incoming_at_ = incoming_end_ = 0;
  return std::span(incoming_).subspan(incoming_end_);
}

void TlsSession::received(std::size_t size) {
  incoming_end_ += size;
}

std::string TlsSession::description() const {
  char* const text = gnutls_session_get_desc(session_);
  std::string description = text ? text : "TLS";
  gnutls_free(text);
  return description;
}

}  // namespace godwit::channel
