// godwit-system-x86_64
#include <cstdio>
#include <string>
#include <vector>

#include "base/log.h"
#include "vm/process/command_line.h"
#include "vm/process/process.h"
#include "vm/process/sandbox.h"

int main(int argc, char** argv) {
  godwit::log::start("godwit-system-x86_64");
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  auto line = godwit::vm::parse_command_line(arguments);
  if (!line) {
    godwit::log::error("{}", line.error().explain());
    return 1;
  }
  if (line->answer) {
    std::fputs(line->answer->c_str(), stdout);
    return 0;
  }
  if (line->process.timestamps)
    spdlog::default_logger()->set_pattern("%Y-%m-%dT%H:%M:%S.%fZ %n: %v", spdlog::pattern_time_type::utc);
  // Before the first thread and the first peer.
  if (auto confined = godwit::vm::confine(line->process.sandbox); !confined) {
    godwit::log::error("{}", confined.error().explain());
    return 1;
  }
  return godwit::vm::Process(*std::move(line)).run();
}
