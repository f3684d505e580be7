// TLS credentials and authorizations, as `tls-creds` and `tls-authz` name them (wire-format section 12).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <godwit/result.h>

namespace godwit {

enum class TlsKind : std::uint8_t {
  anonymous,       ///< encrypted, nobody proves anything
  pre_shared_key,  ///< both sides know a key: DIR/keys.psk
  certificates,  ///< X.509: DIR/ca-cert.pem, server-cert.pem, server-key.pem, client-cert.pem, client-key.pem
};

enum class TlsEndpoint : std::uint8_t {
  client,  ///< a source's
  server,  ///< a destination's
};

struct TlsCredentialsOptions {
  TlsKind kind = TlsKind::certificates;
  TlsEndpoint endpoint = TlsEndpoint::client;
  std::string directory{};
  /// Certificates only. A client checks the server's certificate and name; a server demands a certificate.
  bool verify_peer = true;
  /// Certificates only: refuse one's own files when they are expired, not yet valid, or not signed by the CA.
  bool sanity_check = true;
  std::string username = "qemu";  ///< keys only: the client's line in keys.psk
  std::string priority{};         ///< in GnuTLS' notation; empty: AES-GCM first, TLS 1.3 preferred
};

/// Immutable, shared by all connections that use them.
class TlsCredentials;

/// Reads the files. Errors: `Unable to access credentials DIR/keys.psk: No such file or directory`, and what
/// is wrong with a file, by its path.
Result<std::shared_ptr<const TlsCredentials>> load_tls_credentials(TlsCredentialsOptions options);
/// What they were loaded with.
const TlsCredentialsOptions& options_of(const TlsCredentials& credentials);

struct AuthorizationRule {
  enum class Match : std::uint8_t { exact, glob };  ///< glob: `*` and `?`
  std::string pattern;
  Match match = Match::exact;
  bool allow = false;
};

/// Which clients may connect, by the subject of their certificate. Immutable, hence thread-safe.
class Authorization {
 public:
  /// Lets in the one identity that equals `identity`.
  static Authorization only(std::string identity);
  /// The first rule that matches decides, `otherwise_allow` where none does.
  Authorization(std::vector<AuthorizationRule> rules, bool otherwise_allow);

  bool allows(std::string_view identity) const;

 private:
  std::vector<AuthorizationRule> rules_;
  bool otherwise_allow_;
};

/// Where the engine looks the objects up whose names the parameters are. Thread-safe.
class TlsObjects {
 public:
  virtual ~TlsObjects() = default;
  /// Errors: `No TLS credentials with id 'X'`, `Object with id 'X' is not TLS credentials`.
  virtual Result<std::shared_ptr<const TlsCredentials>> credentials(std::string_view id) const = 0;
  /// Errors: `No TLS authorization with id 'X'` and its like.
  virtual Result<std::shared_ptr<const Authorization>> authorization(std::string_view id) const = 0;
};

}  // namespace godwit
