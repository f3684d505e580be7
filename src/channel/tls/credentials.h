// Who one end of a TLS connection is and whom it trusts, read from files (wire-format section 12).
#pragma once

#include <gnutls/gnutls.h>
#include <memory>
#include <string>
#include <string_view>

#include <godwit/result.h>
#include <godwit/tls.h>

namespace godwit {

/// Immutable once loaded, shared by all connections that use it. Thread-safe.
class TlsCredentials {
 public:
  static Result<std::shared_ptr<const TlsCredentials>> load(TlsCredentialsOptions options);
  ~TlsCredentials();
  TlsCredentials(const TlsCredentials&) = delete;
  TlsCredentials& operator=(const TlsCredentials&) = delete;

  const TlsCredentialsOptions& options() const { return options_; }
  bool verifies_certificates() const {
    return options_.kind == TlsKind::certificates && options_.verify_peer;
  }

  /// Makes `session` use them.
  Result<> equip(gnutls_session_t session) const;

 private:
  explicit TlsCredentials(TlsCredentialsOptions options) : options_(std::move(options)) {}

  Result<> load_anonymous();
  Result<> load_key();
  Result<> load_certificates();
  Result<std::string> path(std::string_view name) const;

  const TlsCredentialsOptions options_;
  gnutls_certificate_credentials_t certificates_ = nullptr;
  gnutls_psk_client_credentials_t client_key_ = nullptr;
  gnutls_psk_server_credentials_t server_keys_ = nullptr;
  gnutls_anon_client_credentials_t anonymous_client_ = nullptr;
  gnutls_anon_server_credentials_t anonymous_server_ = nullptr;
  gnutls_priority_t priority_ = nullptr;
};

}  // namespace godwit
