#include "qmp/monitor.h"

#include <utility>

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
  service_->emit(name, std::move(data));
}

void Monitor::close(Milliseconds patience) {
  service_->close(patience);
}

}  // namespace godwit::qmp
