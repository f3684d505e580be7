#include "engine/security.h"

#include <utility>

#include "base/fail.h"
#include "channel/tls/tls_listener.h"

namespace godwit::engine {
namespace {

Result<std::shared_ptr<const TlsCredentials>> find_credentials(const std::string& id,
                                                               const TlsObjects* objects,
                                                               TlsEndpoint endpoint) {
  if (!objects) return fail("No TLS credentials with id '{}'", id);
  GODWIT_ASSIGN(auto credentials, objects->credentials(id));
  if (options_of(*credentials).endpoint != endpoint)
    return fail("Expected TLS credentials for a {} endpoint",
                endpoint == TlsEndpoint::client ? "client" : "server");
  return credentials;
}

std::string host_of(const channel::Address& address) {
  const auto* tcp = std::get_if<channel::Tcp>(&address);
  return tcp ? tcp->host : std::string();
}

Result<std::optional<channel::TlsServer>> tls_server(const Parameters& parameters,
                                                     const TlsObjects* objects) {
  if (parameters.tls_creds.empty()) return std::nullopt;
  channel::TlsServer server;
  GODWIT_ASSIGN(server.credentials, find_credentials(parameters.tls_creds, objects, TlsEndpoint::server));
  if (!parameters.tls_authz.empty()) {
    GODWIT_ASSIGN(server.authorization, objects->authorization(parameters.tls_authz));
  }
  return server;
}

/// A stream's header; a channel of multifd's; a command, by which a source takes a broken postcopy up again.
channel::Opening opening_of(const Capabilities& capabilities, std::chrono::milliseconds patience) {
  channel::Opening opening{.any_of = {std::string("QEVM\0\0\0\3", 8)},
                           .another_follows_silently = capabilities.has(Capability::postcopy_preempt),
                           .patience = patience};
  const std::string multifd_channel("\x11\x22\x33\x44");
  if (capabilities.has(Capability::multifd))
    opening.any_of.push_back(multifd_channel);
  else
    opening.none_of.push_back(
        {multifd_channel, "it is a channel of multifd; set the capability 'multifd' on both sides"});
  if (capabilities.has(Capability::postcopy_ram)) opening.any_of.emplace_back("\x08\0", 2);
  return opening;
}

}  // namespace

Result<std::unique_ptr<channel::Channel>> secure(std::unique_ptr<channel::Channel> channel,
                                                 const Parameters& parameters, const TlsObjects* objects,
                                                 const channel::Address& address,
                                                 const channel::Interrupt& interrupt) {
  if (parameters.tls_creds.empty()) return channel;
  channel::TlsClient client;
  GODWIT_ASSIGN(client.credentials, find_credentials(parameters.tls_creds, objects, TlsEndpoint::client));
  client.hostname = parameters.tls_hostname.empty() ? host_of(address) : parameters.tls_hostname;
  return channel::start_tls(std::move(channel), client, interrupt);
}

std::unique_ptr<channel::Listener> secure(std::unique_ptr<channel::Listener> listener,
                                          const Settings& settings, const TlsObjects* objects,
                                          std::chrono::milliseconds patience) {
  return channel::make_tls_listener(
      std::move(listener), [&settings, objects] { return tls_server(settings.parameters(), objects); },
      [&settings, patience] { return opening_of(settings.capabilities(), patience); });
}

}  // namespace godwit::engine
