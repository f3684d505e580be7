#include <utility>

#include "engine/migration_implementation.h"

namespace godwit {

Migration::Migration(Guest& guest, MigrationObserver& observer, Clock& clock, MigrationOptions options)
    : implementation_(std::make_unique<Implementation>(guest, observer, clock, options)) {}
Migration::~Migration() = default;

Result<> Migration::set_capabilities(const std::vector<schema::MigrationCapabilityStatus>& changes) {
  return implementation_->set_capabilities(changes);
}
std::vector<schema::MigrationCapabilityStatus> Migration::capabilities() const {
  return implementation_->settings_.capabilities().list();
}
Result<> Migration::set_parameters(const schema::MigrateSetParameters& changes) {
  return implementation_->set_parameters(changes);
}
schema::MigrationParameters Migration::parameters() const {
  return implementation_->settings_.parameters().to_schema();
}
schema::MigrationInfo Migration::info() const {
  return implementation_->info();
}
Result<> Migration::migrate(const schema::MigrateArguments& request, DescriptorSource& descriptors) {
  return implementation_->migrate(request, descriptors);
}
Result<> Migration::cancel() {
  return implementation_->cancel();
}
Result<> Migration::proceed(schema::MigrationStatus expected) {
  return implementation_->proceed(expected);
}
Result<> Migration::start_postcopy() {
  return implementation_->start_postcopy();
}
Result<> Migration::pause() {
  return implementation_->pause();
}
Result<> Migration::recover(std::string_view uri, DescriptorSource& descriptors) {
  return implementation_->recover(uri, descriptors);
}
Result<> Migration::incoming(std::string_view uri, DescriptorSource& descriptors, bool exit_on_error) {
  return implementation_->incoming(uri, descriptors, exit_on_error);
}
Result<> Migration::add_blocker(std::string reason) {
  return implementation_->add_blocker(std::move(reason));
}
void Migration::remove_blocker(std::string_view reason) {
  implementation_->remove_blocker(reason);
}
Result<> Migration::save_device_state(const std::string& path, bool live) {
  return implementation_->save_device_state(path, live);
}
Result<> Migration::load_device_state(const std::string& path) {
  return implementation_->load_device_state(path);
}
Result<> Migration::measure_dirty_rate(const schema::CalcDirtyRateArguments& wanted) {
  return implementation_->measure_dirty_rate(wanted);
}
schema::DirtyRateInfo Migration::dirty_rate() const {
  return implementation_->dirty_rate();
}
Result<> Migration::set_vcpu_dirty_limit(std::optional<std::int64_t> vcpu, std::uint64_t mib_per_second) {
  return implementation_->set_dirty_limit(vcpu, mib_per_second);
}
Result<> Migration::cancel_vcpu_dirty_limit(std::optional<std::int64_t> vcpu) {
  return implementation_->cancel_dirty_limit(vcpu);
}
std::vector<schema::DirtyLimitInfo> Migration::vcpu_dirty_limits() const {
  return implementation_->dirty_limits();
}
void Migration::wait_until_idle() const {
  implementation_->wait_until_idle();
}

}  // namespace godwit
