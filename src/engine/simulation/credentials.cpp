#include "engine/simulation/credentials.h"

#include "base/fail.h"

namespace godwit::engine::simulation {
namespace {

std::shared_ptr<const TlsCredentials> load(TlsEndpoint endpoint) {
  // The key exchange that takes least.
  return *load_tls_credentials({.kind = TlsKind::anonymous,
                                .endpoint = endpoint,
                                .priority = "NORMAL:-KX-ALL:+ANON-ECDH:-GROUP-ALL:+GROUP-X25519"});
}

class Anonymous final : public TlsObjects {
 public:
  Result<std::shared_ptr<const TlsCredentials>> credentials(std::string_view id) const override {
    if (id == "client") return client_;
    if (id == "server") return server_;
    return fail("No TLS credentials with id '{}'", id);
  }
  Result<std::shared_ptr<const Authorization>> authorization(std::string_view id) const override {
    return fail("No TLS authorization with id '{}'", id);
  }

 private:
  const std::shared_ptr<const TlsCredentials> client_ = load(TlsEndpoint::client);
  const std::shared_ptr<const TlsCredentials> server_ = load(TlsEndpoint::server);
};

}  // namespace

const TlsObjects& anonymous_credentials() {
  static const Anonymous credentials;
  return credentials;
}

}  // namespace godwit::engine::simulation
