// What is wrong with a certificate, in words.
#pragma once

#include <gnutls/gnutls.h>
#include <optional>
#include <string>

#include <godwit/result.h>

namespace godwit::channel {

/// Looks for the usual mistakes in one's own files before anybody connects: expired, not valid yet, not a CA,
/// not for this use, not signed by the CA. `certificate` may be empty: there is none.
Result<> check_own_certificates(const std::string& authority, const std::string& certificate, bool is_server);

/// Why a peer is not accepted: for this side, and the alert that tells the other one.
struct Refusal {
  Error error;
  gnutls_alert_description_t alert;
};

/// Unless the peer's certificate is signed by the CA, valid now, and (where `hostname` is not empty) made out
/// to it. For use inside the handshake.
std::optional<Refusal> refuse_certificate(gnutls_session_t session, const std::string& hostname);

/// The subject of the peer's certificate, as authorization objects compare it: "O=Example,CN=host".
Result<std::string> peer_distinguished_name(gnutls_session_t session);

}  // namespace godwit::channel
