#include "qmp/monitor.h"

#include <utility>

#include "base/exhaustion.h"
#include "base/log.h"
#include "qmp/monitor_service.h"

namespace godwit::qmp {

Monitor::Monitor(const CommandTable& commands, Executor executor)
    : service_(std::make_shared<Service>(commands, std::move(executor))) {}

Monitor::~Monitor() {
  service_->close(Milliseconds(0));
}

Result<std::string> Monitor::add(Endpoint endpoint, Options options) {
  return service_->add(std::move(endpoint), options);
}

bool Monitor::wait_for_clients(std::stop_token stop) {
  return service_->wait_for_clients(std::move(stop));
}

void Monitor::emit(std::string_view name, std::optional<boost::json::object> data) {
  emit_made(name, [&data] { return data; });
}

void Monitor::emit_made(std::string_view name,
                        const std::function<std::optional<boost::json::object>()>& make_data) {
  const auto told = or_exhausted([&]() -> Result<> {
    with_reserve([&] { service_->emit(name, make_data()); });
    return {};
  });
  if (!told) log::error("the event {} is lost: {}", name, told.error().what());
}

void Monitor::close(Milliseconds patience) {
  service_->close(patience);
}

}  // namespace godwit::qmp
