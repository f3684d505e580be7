#include "vm/process/security_objects.h"

#include <optional>
#include <utility>

#include "base/fail.h"

namespace godwit::vm {
namespace {

template <typename Properties>
TlsCredentialsOptions credentials_options(TlsKind kind, const Properties& properties) {
  TlsCredentialsOptions options;
  options.kind = kind;
  if (properties.endpoint == schema::QCryptoTLSCredsEndpoint::server) options.endpoint = TlsEndpoint::server;
  options.directory = properties.dir.value_or("");
  options.verify_peer = properties.verify_peer.value_or(true);
  options.priority = properties.priority.value_or("");
  return options;
}

Authorization rules_of(const schema::AuthZListProperties& properties) {
  std::vector<AuthorizationRule> rules;
  for (const schema::QAuthZListRule& rule : properties.rules.value_or(std::vector<schema::QAuthZListRule>{}))
    rules.push_back({.pattern = rule.match,
                     .match = rule.format == schema::QAuthZListFormat::glob ? AuthorizationRule::Match::glob
                                                                            : AuthorizationRule::Match::exact,
                     .allow = rule.policy == schema::QAuthZListPolicy::allow});
  return {std::move(rules), properties.policy == schema::QAuthZListPolicy::allow};
}

/// Unset: not credentials.
Result<std::optional<TlsCredentialsOptions>> read_credentials(const schema::ObjectOptions& object) {
  if (const auto* anonymous = std::get_if<schema::TlsCredsAnonProperties>(&object.u))
    return credentials_options(TlsKind::anonymous, *anonymous);
  if (const auto* key = std::get_if<schema::TlsCredsPskProperties>(&object.u)) {
    auto options = credentials_options(TlsKind::pre_shared_key, *key);
    options.username = key->username.value_or(options.username);
    return options;
  }
  if (const auto* certificates = std::get_if<schema::TlsCredsX509Properties>(&object.u)) {
    if (certificates->passwordid)
      return fail(Error("keys that are encrypted with a password (passwordid) are not built yet")
                      .advise("decrypt the key file: certtool --key-info --infile KEY --outfile PLAIN"));
    auto options = credentials_options(TlsKind::certificates, *certificates);
    options.sanity_check = certificates->sanity_check.value_or(true);
    return options;
  }
  return std::nullopt;
}

}  // namespace

Result<SecurityObject> load_security_object(const schema::ObjectOptions& options) {
  GODWIT_ASSIGN(const auto credentials, read_credentials(options));
  if (credentials) return load_tls_credentials(*credentials);
  if (const auto* simple = std::get_if<schema::AuthZSimpleProperties>(&options.u))
    return std::make_shared<const Authorization>(Authorization::only(simple->identity));
  if (const auto* list = std::get_if<schema::AuthZListProperties>(&options.u))
    return std::make_shared<const Authorization>(rules_of(*list));
  return SecurityObject();
}

}  // namespace godwit::vm
