// From the parameters tls-creds, tls-hostname and tls-authz to what a connection needs.
#pragma once

#include <memory>

#include <godwit/migration.h>

#include "channel/address.h"
#include "channel/channel.h"
#include "channel/interrupt.h"
#include "channel/listener.h"
#include "channel/opening.h"
#include "engine/settings.h"

namespace godwit::engine {

/// Puts TLS around the source's channel if the parameters ask for it. `address` gives the host whose
/// certificate it has to be, unless tls-hostname does.
Result<std::unique_ptr<channel::Channel>> secure(std::unique_ptr<channel::Channel> channel,
                                                 const Parameters& parameters, const TlsObjects* objects,
                                                 const channel::Address& address,
                                                 const channel::Interrupt& interrupt);

/// Puts TLS around a destination's connections as the settings say when they come. All outlive the listener.
/// Without TLS, who shows nothing of a source for so long is turned away.
std::unique_ptr<channel::Listener> secure(std::unique_ptr<channel::Listener> listener,
                                          const Settings& settings, const TlsObjects* objects,
                                          std::chrono::milliseconds patience = channel::opening_patience);

}  // namespace godwit::engine
