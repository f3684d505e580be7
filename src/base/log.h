// The log: spdlog to stderr. Guest output never goes here, and nothing here goes to a guest's serial line.
#pragma once

#include <spdlog/spdlog.h>

namespace godwit::log {

using spdlog::debug;
using spdlog::error;
using spdlog::info;
using spdlog::warn;

/// Sends log lines to stderr as "PROGRAM: message". The level comes from GODWIT_LOG (debug, info, warn,
/// error; default warn).
void start(const char* program);

}  // namespace godwit::log
