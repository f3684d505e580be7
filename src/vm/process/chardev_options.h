// Character devices on the command line: -chardev, and the short forms that -serial, -qmp and -qtest take.
#pragma once

#include <string>
#include <string_view>

#include <godwit/result.h>

#include "vm/process/process_config.h"

namespace godwit::vm {

/// "socket,id=ID,path=PATH,server=on,wait=off" and the other backends of -chardev.
Result<ChardevConfig> parse_chardev(std::string_view text);

/// "unix:PATH,server=on,wait=off", "tcp:HOST:PORT", "file:PATH", "stdio", "pty", "null", as a device called
/// `id`.
Result<ChardevConfig> parse_short_chardev(std::string_view text, std::string id);

}  // namespace godwit::vm
