#include "base/log.h"

#include <cstdlib>
#include <spdlog/sinks/stdout_sinks.h>
#include <string>

namespace godwit::log {

void start(const char* program) {
  auto logger = spdlog::stderr_logger_mt(program);
  logger->set_pattern("%n: %v");
  logger->flush_on(spdlog::level::trace);
  const char* wanted = std::getenv("GODWIT_LOG");
  logger->set_level(wanted ? spdlog::level::from_str(wanted) : spdlog::level::warn);
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace godwit::log
