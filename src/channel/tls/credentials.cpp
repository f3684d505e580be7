#include "channel/tls/credentials.h"

#include <cerrno>
#include <fstream>
#include <unistd.h>
#include <utility>

#include "base/fail.h"
#include "base/system.h"
#include "channel/tls/certificate_check.h"

namespace godwit {
namespace {

/// AES in hardware moves gigabytes a second on one core; other ciphers are for machines without it.
constexpr std::string_view fast_ciphers =
    "NORMAL:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:+AES-128-CBC:+AES-256-CBC";

Result<> check(int code, std::string_view what) {
  if (code >= 0) return {};
  return fail("{}: {}", what, gnutls_strerror(code));
}

std::string priority_of(const TlsCredentialsOptions& options) {
  std::string text = options.priority.empty() ? std::string(fast_ciphers) : options.priority;
  if (options.kind == TlsKind::anonymous) text += ":+ANON-DH:+ANON-ECDH";
  if (options.kind == TlsKind::pre_shared_key) text += ":+ECDHE-PSK:+DHE-PSK:+PSK";
  // The server's order counts: a client that lists a slow cipher first does not slow the transfer down.
  if (options.endpoint == TlsEndpoint::server && options.priority.empty()) text += ":%SERVER_PRECEDENCE";
  return text;
}

/// The key of `username` in a file of lines "username:hex".
Result<std::string> key_of(const std::string& username, const std::string& file) {
  std::ifstream lines(file);
  std::string line;
  while (std::getline(lines, line))
    if (line.size() > username.size() && line.starts_with(username) && line[username.size()] == ':')
      return line.substr(username.size() + 1);
  return fail("Username {} not found in PSK file {}", username, file);
}

}  // namespace

Result<std::shared_ptr<const TlsCredentials>> TlsCredentials::load(TlsCredentialsOptions options) {
  std::shared_ptr<TlsCredentials> self(new TlsCredentials(std::move(options)));
  const std::string priority = priority_of(self->options_);
  if (gnutls_priority_init(&self->priority_, priority.c_str(), nullptr) < 0)
    return fail(Error(fmt::format("Unable to set TLS session priority {}", priority))
                    .advise("see GnuTLS' manual on priority strings; certtool --list shows what there is"));
  switch (self->options_.kind) {
    case TlsKind::anonymous:
      GODWIT_TRY(self->load_anonymous());
      break;
    case TlsKind::pre_shared_key:
      GODWIT_TRY(self->load_key());
      break;
    case TlsKind::certificates:
      GODWIT_TRY(self->load_certificates());
      break;
  }
  return self;
}

TlsCredentials::~TlsCredentials() {
  if (certificates_) gnutls_certificate_free_credentials(certificates_);
  if (client_key_) gnutls_psk_free_client_credentials(client_key_);
  if (server_keys_) gnutls_psk_free_server_credentials(server_keys_);
  if (anonymous_client_) gnutls_anon_free_client_credentials(anonymous_client_);
  if (anonymous_server_) gnutls_anon_free_server_credentials(anonymous_server_);
  if (priority_) gnutls_priority_deinit(priority_);
}

Result<std::string> TlsCredentials::path(std::string_view name) const {
  if (options_.directory.empty()) return fail("Missing 'dir' property value");
  std::string path = options_.directory + '/' + std::string(name);
  if (::access(path.c_str(), R_OK) != 0) return system_error("Unable to access credentials " + path, errno);
  return path;
}

Result<> TlsCredentials::load_anonymous() {
  if (options_.endpoint == TlsEndpoint::client)
    return check(gnutls_anon_allocate_client_credentials(&anonymous_client_), "Cannot allocate credentials");
  GODWIT_TRY(
      check(gnutls_anon_allocate_server_credentials(&anonymous_server_), "Cannot allocate credentials"));
  return check(gnutls_anon_set_server_known_dh_params(anonymous_server_, GNUTLS_SEC_PARAM_MEDIUM),
               "Cannot set Diffie-Hellman parameters");
}

Result<> TlsCredentials::load_key() {
  GODWIT_ASSIGN(const std::string file, path("keys.psk"));
  if (options_.endpoint == TlsEndpoint::client) {
    GODWIT_ASSIGN(std::string key, key_of(options_.username, file));
    GODWIT_TRY(check(gnutls_psk_allocate_client_credentials(&client_key_), "Cannot allocate credentials"));
    const gnutls_datum_t datum{reinterpret_cast<unsigned char*>(key.data()),
                               static_cast<unsigned>(key.size())};
    return check(
        gnutls_psk_set_client_credentials(client_key_, options_.username.c_str(), &datum, GNUTLS_PSK_KEY_HEX),
        fmt::format("The key of {} in {} cannot be used", options_.username, file));
  }
  GODWIT_TRY(check(gnutls_psk_allocate_server_credentials(&server_keys_), "Cannot allocate credentials"));
  GODWIT_TRY(check(gnutls_psk_set_server_credentials_file(server_keys_, file.c_str()),
                   fmt::format("The keys in {} cannot be used", file)));
  return check(gnutls_psk_set_server_known_dh_params(server_keys_, GNUTLS_SEC_PARAM_MEDIUM),
               "Cannot set Diffie-Hellman parameters");
}

Result<> TlsCredentials::load_certificates() {
  const bool is_server = options_.endpoint == TlsEndpoint::server;
  GODWIT_ASSIGN(const std::string authority, path("ca-cert.pem"));
  auto certificate = path(is_server ? "server-cert.pem" : "client-cert.pem");
  auto key = path(is_server ? "server-key.pem" : "client-key.pem");
  // A client without a certificate may connect to a server that asks for none.
  const bool has_own = certificate.has_value() || key.has_value() || is_server;
  if (has_own && !certificate) return fail(certificate.error());
  if (has_own && !key) return fail(key.error());

  if (options_.sanity_check)
    GODWIT_TRY(channel::check_own_certificates(authority, has_own ? *certificate : std::string(), is_server));
  GODWIT_TRY(check(gnutls_certificate_allocate_credentials(&certificates_), "Cannot allocate credentials"));
  GODWIT_TRY(
      check(gnutls_certificate_set_x509_trust_file(certificates_, authority.c_str(), GNUTLS_X509_FMT_PEM),
            fmt::format("Cannot load CA certificate '{}'", authority)));
  if (has_own)
    GODWIT_TRY(check(gnutls_certificate_set_x509_key_file(certificates_, certificate->c_str(), key->c_str(),
                                                          GNUTLS_X509_FMT_PEM),
                     fmt::format("Cannot load certificate '{}' & key '{}'", *certificate, *key)));
  if (const std::string revoked = options_.directory + "/ca-crl.pem"; ::access(revoked.c_str(), R_OK) == 0)
    GODWIT_TRY(
        check(gnutls_certificate_set_x509_crl_file(certificates_, revoked.c_str(), GNUTLS_X509_FMT_PEM),
              fmt::format("Cannot load CRL '{}'", revoked)));
  if (!is_server) return {};
  return check(gnutls_certificate_set_known_dh_params(certificates_, GNUTLS_SEC_PARAM_MEDIUM),
               "Cannot set Diffie-Hellman parameters");
}

Result<> TlsCredentials::equip(gnutls_session_t session) const {
  GODWIT_TRY(check(gnutls_priority_set(session, priority_), "Unable to set TLS session priority"));
  const auto set = [&](gnutls_credentials_type_t type, void* credentials) {
    return check(gnutls_credentials_set(session, type, credentials), "Cannot set session credentials");
  };
  const bool is_server = options_.endpoint == TlsEndpoint::server;
  switch (options_.kind) {
    case TlsKind::anonymous:
      return is_server ? set(GNUTLS_CRD_ANON, anonymous_server_) : set(GNUTLS_CRD_ANON, anonymous_client_);
    case TlsKind::pre_shared_key:
      return is_server ? set(GNUTLS_CRD_PSK, server_keys_) : set(GNUTLS_CRD_PSK, client_key_);
    case TlsKind::certificates:
      if (is_server)
        gnutls_certificate_server_set_request(
            session, options_.verify_peer ? GNUTLS_CERT_REQUIRE : GNUTLS_CERT_IGNORE);
      return set(GNUTLS_CRD_CERTIFICATE, certificates_);
  }
  std::unreachable();
}

Result<std::shared_ptr<const TlsCredentials>> load_tls_credentials(TlsCredentialsOptions options) {
  return TlsCredentials::load(std::move(options));
}
const TlsCredentialsOptions& options_of(const TlsCredentials& credentials) {
  return credentials.options();
}

}  // namespace godwit
