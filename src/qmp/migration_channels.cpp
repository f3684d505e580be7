#include "qmp/migration_channels.h"

#include <optional>
#include <string_view>

#include "base/fail.h"

namespace godwit::qmp {

namespace {

using Address = schema::MigrationAddress;

Result<std::string> require(const std::optional<std::string>& member, std::string_view name) {
  if (!member) return fail("Parameter 'channels[0].addr.{}' is missing", name);
  return *member;
}

Result<std::string> host_and_port(const Address& address) {
  GODWIT_ASSIGN(const std::string host, require(address.host, "host"));
  GODWIT_ASSIGN(const std::string port, require(address.port, "port"));
  const bool numeric_v6 = host.find(':') != std::string::npos;
  std::string text = numeric_v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
  if (address.ipv4) text += *address.ipv4 ? ",ipv4=on" : ",ipv4=off";
  if (address.ipv6) text += *address.ipv6 ? ",ipv6=on" : ",ipv6=off";
  return text;
}

Result<std::string> socket_uri(const Address& address) {
  if (!address.type) return fail("Parameter 'channels[0].addr.type' is missing");
  switch (*address.type) {
    case schema::SocketAddressType::inet: {
      GODWIT_ASSIGN(const std::string where, host_and_port(address));
      return "tcp:" + where;
    }
    case schema::SocketAddressType::unix_: {
      GODWIT_ASSIGN(const std::string path, require(address.path, "path"));
      return "unix:" + path;
    }
    case schema::SocketAddressType::vsock: {
      GODWIT_ASSIGN(const std::string cid, require(address.cid, "cid"));
      GODWIT_ASSIGN(const std::string port, require(address.port, "port"));
      return fmt::format("vsock:{}:{}", cid, port);
    }
    case schema::SocketAddressType::fd:
      break;
  }
  GODWIT_ASSIGN(const std::string name, require(address.str, "str"));
  return "fd:" + name;
}

std::string quoted(std::string_view word) {
  std::string text = "'";
  for (const char c : word) {
    if (c == '\'')
      text += R"('\'')";
    else
      text += c;
  }
  return text + "'";
}

/// exec: takes a line for the shell, so the words are quoted for it.
Result<std::string> command_uri(const Address& address) {
  if (!address.args || address.args->empty()) return fail("Parameter 'channels[0].addr.args' is missing");
  std::string uri = "exec:exec";
  for (const std::string& word : *address.args) uri += " " + quoted(word);
  return uri;
}

}  // namespace

Result<std::string> uri_of(const std::vector<schema::MigrationChannel>& channels) {
  if (channels.empty()) return fail("need either 'uri' or 'channels' argument");
  for (const schema::MigrationChannel& channel : channels)
    if (channel.channel_type != schema::MigrationChannelType::main)
      return fail("channels of type '{}' are not built yet", schema::to_string(channel.channel_type));
  if (channels.size() > 1) return fail("Channel list has more than one main channel");
  const Address& address = channels[0].addr;
  switch (address.transport) {
    case schema::MigrationAddressType::socket:
      return socket_uri(address);
    case schema::MigrationAddressType::exec:
      return command_uri(address);
    case schema::MigrationAddressType::rdma: {
      GODWIT_ASSIGN(const std::string where, host_and_port(address));
      return "rdma:" + where;
    }
    case schema::MigrationAddressType::file:
      break;
  }
  GODWIT_ASSIGN(const std::string name, require(address.filename, "filename"));
  if (address.offset.value_or(0) == 0) return "file:" + name;
  return fmt::format("file:{},offset={}", name, *address.offset);
}

}  // namespace godwit::qmp
