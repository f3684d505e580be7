// A channel whose bytes are encrypted on the way (wire-format section 12).
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include <godwit/result.h>
#include <godwit/tls.h>

#include "channel/channel.h"
#include "channel/interrupt.h"
#include "channel/tls/credentials.h"

namespace godwit::channel {

/// What a source needs to know its destination.
struct TlsClient {
  std::shared_ptr<const TlsCredentials> credentials;
  std::string hostname{};  ///< whose certificate it has to be; empty where none is checked
};

/// What a destination needs to know its source.
struct TlsServer {
  std::shared_ptr<const TlsCredentials> credentials;
  std::shared_ptr<const Authorization> authorization{};  ///< null: whoever has a valid certificate
};

/// A peer that does not finish the handshake in this time is given up.
constexpr std::chrono::milliseconds tls_handshake_limit{10'000};

/// Perform the handshake over `transport` and return the encrypted channel: nothing of the guest is on the
/// wire before the peer is known. Fail within milliseconds once `interrupt` is set. The peer is told why, by
/// an alert, where there is still somebody to tell.
///
/// Errors: `TLS handshake failed: REASON`, `Certificate does not match the hostname H`,
/// `TLS x509 authz check for DN is denied`.
Result<std::unique_ptr<Channel>> start_tls(std::unique_ptr<Channel> transport, const TlsClient& client,
                                           const Interrupt& interrupt,
                                           std::chrono::milliseconds limit = tls_handshake_limit);
Result<std::unique_ptr<Channel>> start_tls(std::unique_ptr<Channel> transport, const TlsServer& server,
                                           const Interrupt& interrupt,
                                           std::chrono::milliseconds limit = tls_handshake_limit);

}  // namespace godwit::channel
