#include <utility>

#include <godwit/error.h>

namespace godwit {

struct Error::Details {
  std::string what;
  std::string phase;
  std::string advice;
  ErrorClass error_class = ErrorClass::generic;
  Side side = Side::none;
};

std::string_view to_string(ErrorClass error_class) {
  switch (error_class) {
    case ErrorClass::generic:
      return "GenericError";
    case ErrorClass::command_not_found:
      return "CommandNotFound";
    case ErrorClass::device_not_active:
      return "DeviceNotActive";
    case ErrorClass::device_not_found:
      return "DeviceNotFound";
    case ErrorClass::kvm_missing_capability:
      return "KVMMissingCap";
  }
  return "GenericError";
}

Error::Error(std::string what) : details_(std::make_unique<Details>()) {
  details_->what = std::move(what);
}
Error::Error(const Error& other) : details_(std::make_unique<Details>(*other.details_)) {}
Error& Error::operator=(const Error& other) {
  if (this != &other) details_ = std::make_unique<Details>(*other.details_);
  return *this;
}
Error::Error(Error&&) noexcept = default;
Error& Error::operator=(Error&&) noexcept = default;
Error::~Error() = default;

Error Error::with_class(ErrorClass error_class) && {
  details_->error_class = error_class;
  return std::move(*this);
}

Error Error::at(Side side, std::string phase) && {
  if (details_->side == Side::none) {
    details_->side = side;
    details_->phase = std::move(phase);
  }
  return std::move(*this);
}

Error Error::in(std::string_view context) && {
  details_->what.insert(0, std::string(context) + ": ");
  return std::move(*this);
}

Error Error::advise(std::string next_step) && {
  if (details_->advice.empty()) details_->advice = std::move(next_step);
  return std::move(*this);
}

const std::string& Error::what() const {
  return details_->what;
}
ErrorClass Error::error_class() const {
  return details_->error_class;
}
Side Error::side() const {
  return details_->side;
}
const std::string& Error::phase() const {
  return details_->phase;
}
const std::string& Error::advice() const {
  return details_->advice;
}

std::string Error::explain() const {
  std::string line;
  if (side() != Side::none) {
    line = side() == Side::source ? "source" : "destination";
    if (!phase().empty()) line += ", " + phase();
    line += ": ";
  }
  line += what();
  if (!advice().empty()) line += ". Next: " + advice();
  return line;
}

}  // namespace godwit
