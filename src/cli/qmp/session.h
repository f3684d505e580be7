// A monitor to talk to: who it is, what it understands, and one question at a time.
#pragma once

#include <boost/json.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "cli/qmp/address.h"
#include "cli/qmp/schema_index.h"
#include "cli/qmp_client.h"

namespace godwit::cli::qmp {

/// Called for each event, as it arrives.
using OnEvent = std::function<void(const QmpEvent&)>;

class Session {
 public:
  /// Connects, negotiates (with out-of-band execution where it is offered) and asks who is there. Errors say
  /// what was tried and what to do.
  static Result<Session> open(const Address& address, Deadline deadline, const StopRequest& stop);

  /// "QEMU 7.2.22", "Godwit 0.1.0".
  const std::string& product() const { return product_; }
  /// As -name says; empty if it has none.
  const std::string& name() const { return name_; }
  const std::string& address() const { return address_; }

  /// The monitor's schema; fetched at the first call.
  Result<const SchemaIndex*> schema(Deadline deadline);

  /// Sends a request and waits for the whole answer, {"return": ...} or {"error": ...}, without its id.
  Result<boost::json::object> ask(boost::json::object request, Deadline deadline, const OnEvent& on_event);

  /// Waits for the event that `wanted` says yes to. None: the deadline has passed. Events that came before
  /// and were not taken count.
  Result<std::optional<QmpEvent>> wait_event(const std::function<bool(const QmpEvent&)>& wanted,
                                             Deadline deadline, const OnEvent& on_event);

  QmpClient& client() { return client_; }

 private:
  Session(QmpClient client, const Address& address, const StopRequest& stop);

  QmpClient client_;
  const StopRequest* stop_;
  std::string address_;
  std::string product_;
  std::string name_;
  std::unique_ptr<SchemaIndex> schema_;
};

/// The error of an answer; none if it is a return value.
std::optional<Error> refusal_of(const boost::json::object& answer);

}  // namespace godwit::cli::qmp
