// What the command line says about the process around the machine: monitors, character devices, objects,
// migration.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <godwit/schema/types.h>

#include "vm/machine_config.h"
#include "vm/process/sandbox.h"

namespace godwit::vm {

/// One -chardev, or one that -serial or -qmp implies.
struct ChardevConfig {
  enum class Kind : std::uint8_t { null, file, stdio, pty, unix_socket, tcp_socket };
  std::string id;
  Kind kind = Kind::null;
  std::string path;     ///< file and unix_socket
  std::string host;     ///< tcp_socket; empty: any address of a server, localhost for a client
  std::string port;     ///< tcp_socket
  bool append = false;  ///< file: keep what is there
  bool server = false;  ///< sockets: listen instead of connecting
  bool wait = true;     ///< server: start-up waits for the first client

  bool is_socket() const { return kind == Kind::unix_socket || kind == Kind::tcp_socket; }
};

/// One QMP monitor.
struct MonitorConfig {
  std::string chardev;  ///< id
  bool pretty = false;
};

/// -global migration.PROPERTY=VALUE
struct MigrationGlobal {
  std::string property;
  std::string value;
};

struct ProcessConfig {
  std::optional<std::string> name;  ///< -name
  std::vector<ChardevConfig> chardevs;
  std::vector<MonitorConfig> monitors;
  std::string serial_chardev;           ///< id; empty: nothing is connected to COM1
  std::string qtest_socket;             ///< path of the listener to connect to; empty: none
  std::optional<std::string> incoming;  ///< "defer" or a URI
  std::vector<schema::MigrationChannel> incoming_channels;  ///< channels instead of it; empty: none
  bool only_migratable = false;
  std::vector<MigrationGlobal> migration_globals;
  std::vector<MemoryBackend>
      memory_backends;                       ///< every -object memory-backend-*, whether it is the RAM or not
  std::vector<boost::json::object> objects;  ///< every other -object, as object-add takes it
  std::string ram_backend;                   ///< id of the one that is the RAM; empty: none of them
  bool keep_on_shutdown = false;             ///< -no-shutdown
  bool exit_on_reset = false;                ///< -no-reboot
  bool timestamps = false;                   ///< -msg timestamp=on
  SandboxConfig sandbox;                     ///< -sandbox
  std::vector<std::string> warnings;         ///< for stderr
};

}  // namespace godwit::vm
