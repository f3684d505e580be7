#include "channel/tls/certificate_check.h"

#include <ctime>
#include <fstream>
#include <gnutls/x509.h>
#include <iterator>
#include <memory>
#include <vector>

#include "base/fail.h"

namespace godwit::channel {
namespace {

struct FreeCertificate {
  void operator()(gnutls_x509_crt_t certificate) const { gnutls_x509_crt_deinit(certificate); }
};
using Certificate = std::unique_ptr<gnutls_x509_crt_int, FreeCertificate>;

/// More than any chain or bundle of ours has.
constexpr unsigned most_certificates = 16;

Result<std::vector<Certificate>> read_certificates(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(stream), {}};
  const gnutls_datum_t data{reinterpret_cast<unsigned char*>(text.data()),
                            static_cast<unsigned>(text.size())};
  gnutls_x509_crt_t list[most_certificates];
  unsigned count = most_certificates;
  if (const int code = gnutls_x509_crt_list_import(list, &count, &data, GNUTLS_X509_FMT_PEM,
                                                   GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);
      code < 0)
    return fail("Unable to import certificate {}: {}", file, gnutls_strerror(code));
  std::vector<Certificate> certificates;
  for (unsigned i = 0; i < count; ++i) certificates.emplace_back(list[i]);
  return certificates;
}

Result<> check_times(gnutls_x509_crt_t certificate, const std::string& file) {
  const std::time_t now = std::time(nullptr);
  if (gnutls_x509_crt_get_expiration_time(certificate) < now)
    return fail("The certificate {} has expired", file);
  if (gnutls_x509_crt_get_activation_time(certificate) > now)
    return fail("The certificate {} is not yet active", file);
  return {};
}

Result<> check_authority(gnutls_x509_crt_t certificate, const std::string& file) {
  unsigned critical = 0;
  const int is_authority = gnutls_x509_crt_get_basic_constraints(certificate, &critical, nullptr, nullptr);
  if (is_authority > 0) return {};
  return fail("The certificate {} basic constraints do not show a CA", file);
}

/// A certificate that names its uses has to name this one.
Result<> check_purpose(gnutls_x509_crt_t certificate, const std::string& file, bool is_server) {
  const std::string_view wanted = is_server ? GNUTLS_KP_TLS_WWW_SERVER : GNUTLS_KP_TLS_WWW_CLIENT;
  for (unsigned i = 0;; ++i) {
    char purpose[128];
    std::size_t size = sizeof purpose;
    const int code = gnutls_x509_crt_get_key_purpose_oid(certificate, i, purpose, &size, nullptr);
    if (code == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE) {
      if (i == 0) return {};
      return fail("Certificate {} purpose does not allow use for with a TLS {}", file,
                  is_server ? "server" : "client");
    }
    if (code < 0) return fail("Unable to query certificate {} key purpose: {}", file, gnutls_strerror(code));
    if (wanted == purpose || std::string_view(GNUTLS_KP_ANY) == purpose) return {};
  }
}

std::string explain(unsigned status) {
  gnutls_datum_t text{};
  if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) < 0) return "invalid";
  std::string reason(reinterpret_cast<char*>(text.data), text.size);
  gnutls_free(text.data);
  while (!reason.empty() && (reason.back() == ' ' || reason.back() == '.' || reason.back() == '\0'))
    reason.pop_back();
  return reason;
}

gnutls_alert_description_t alert_for(unsigned status) {
  if (status & GNUTLS_CERT_REVOKED) return GNUTLS_A_CERTIFICATE_REVOKED;
  if (status & (GNUTLS_CERT_EXPIRED | GNUTLS_CERT_NOT_ACTIVATED)) return GNUTLS_A_CERTIFICATE_EXPIRED;
  if (status & GNUTLS_CERT_SIGNER_NOT_FOUND) return GNUTLS_A_UNKNOWN_CA;
  return GNUTLS_A_BAD_CERTIFICATE;
}

}  // namespace

Result<> check_own_certificates(const std::string& authority, const std::string& certificate,
                                bool is_server) {
  GODWIT_ASSIGN(const auto authorities, read_certificates(authority));
  for (const Certificate& each : authorities) {
    GODWIT_TRY(check_times(each.get(), authority));
    GODWIT_TRY(check_authority(each.get(), authority));
  }
  if (certificate.empty()) return {};
  GODWIT_ASSIGN(const auto own, read_certificates(certificate));
  if (own.empty()) return fail("There is no certificate in {}", certificate);
  GODWIT_TRY(check_times(own.front().get(), certificate));
  GODWIT_TRY(check_purpose(own.front().get(), certificate, is_server));

  std::vector<gnutls_x509_crt_t> chain;
  for (const Certificate& each : own) chain.push_back(each.get());
  std::vector<gnutls_x509_crt_t> roots;
  for (const Certificate& each : authorities) roots.push_back(each.get());
  unsigned status = 0;
  if (const int code =
          gnutls_x509_crt_list_verify(chain.data(), static_cast<unsigned>(chain.size()), roots.data(),
                                      static_cast<unsigned>(roots.size()), nullptr, 0, 0, &status);
      code < 0)
    return fail("Unable to verify certificate {} against CA certificate {}: {}", certificate, authority,
                gnutls_strerror(code));
  if (status != 0)
    return fail("Our own certificate {} failed validation against {}: {}", certificate, authority,
                explain(status));
  return {};
}

std::optional<Refusal> refuse_certificate(gnutls_session_t session, const std::string& hostname) {
  unsigned status = 0;
  const char* const name = hostname.empty() ? nullptr : hostname.c_str();
  if (const int code = gnutls_certificate_verify_peers3(session, name, &status); code < 0)
    return Refusal{
        Error(fmt::format("The peer's certificate could not be verified: {}", gnutls_strerror(code))),
        GNUTLS_A_CERTIFICATE_UNKNOWN};
  if (status == 0) return std::nullopt;
  if (status & GNUTLS_CERT_UNEXPECTED_OWNER)
    return Refusal{Error(fmt::format("Certificate does not match the hostname {}", hostname))
                       .advise("connect by the name in the certificate, or set tls-hostname to it"),
                   GNUTLS_A_BAD_CERTIFICATE};
  return Refusal{Error(fmt::format("The peer's certificate was refused: {}", explain(status))),
                 alert_for(status)};
}

Result<std::string> peer_distinguished_name(gnutls_session_t session) {
  unsigned count = 0;
  const gnutls_datum_t* const chain = gnutls_certificate_get_peers(session, &count);
  if (!chain || count == 0) return fail("The peer has shown no certificate");
  gnutls_x509_crt_t raw = nullptr;
  if (const int code = gnutls_x509_crt_init(&raw); code < 0)
    return fail("The peer's certificate could not be read: {}", gnutls_strerror(code));
  const Certificate certificate(raw);
  if (const int code = gnutls_x509_crt_import(raw, &chain[0], GNUTLS_X509_FMT_DER); code < 0)
    return fail("The peer's certificate could not be read: {}", gnutls_strerror(code));
  gnutls_datum_t name{};
  if (const int code = gnutls_x509_crt_get_dn3(raw, &name, GNUTLS_X509_DN_FLAG_COMPAT); code < 0)
    return fail("The subject of the peer's certificate could not be read: {}", gnutls_strerror(code));
  std::string text(reinterpret_cast<char*>(name.data), name.size);
  gnutls_free(name.data);
  while (!text.empty() && text.back() == '\0') text.pop_back();
  return text;
}

}  // namespace godwit::channel
