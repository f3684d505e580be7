#include "vm/virtual_machine.h"

#include <utility>

#include "base/fail.h"
#include "base/log.h"
#include "vm/accel/choose.h"
#include "vm/accel/cpu_section.h"

namespace godwit::vm {

VirtualMachine::VirtualMachine(MachineConfig config, MachineObserver& observer)
    : config_(std::move(config)),
      observer_(observer),
      state_(config_.incoming ? RunState::inmigrate : RunState::prelaunch),
      autostart_(!config_.start_stopped) {}

Result<> VirtualMachine::build() {
  GODWIT_ASSIGN(memory_, GuestMemory::create(config_));
  marks_ = std::make_unique<memory::DirtyMarks>(memory_.blocks());

  BoardParts parts;
  if (!memory_.blocks().empty()) {
    parts.ram = memory_.blocks()[0].host;
    parts.ram_size = memory_.blocks()[0].size;
  }
  parts.mark_written = [this](const MemoryMap::Piece& piece) {
    marks_->mark_bytes(piece.block, piece.block_offset, piece.bytes.size());
  };
  parts.request_reset = [this] { observer_.on_guest_reset_request(); };
  board_ = config_.kind == MachineKind::none ? make_none_board(config_, std::move(parts))
                                             : make_pc_board(config_, std::move(parts));

  GODWIT_TRY(choose_accelerator());
  GODWIT_TRY(accelerator_->map_ram(board_->memory().slots()));
  GODWIT_TRY(create_vcpus());
  GODWIT_ASSIGN(auto tracker, accelerator_->create_dirty_tracker());
  tracker_ = std::make_unique<memory::MarkedTracker>(std::move(tracker), *marks_);
  create_sections();
  // What an incoming migration brings, it does not need from the disk.
  if (!config_.incoming) GODWIT_TRY(board_->reset());
  return reset_vcpus();
}

Result<> VirtualMachine::choose_accelerator() {
  GODWIT_ASSIGN(auto chosen, vm::choose_accelerator(config_.accelerators, config_.cpu_model,
                                                    config_.kind != MachineKind::none));
  if (!chosen.note.empty()) log::warn("{}", chosen.note);
  accelerator_ = std::move(chosen.accelerator);
  return {};
}

Result<> VirtualMachine::create_vcpus() {
  if (config_.kind == MachineKind::none) return {};
  GODWIT_TRY(vcpus_.create(*accelerator_, config_.vcpus, *board_, *this));
  cpu_states_.resize(config_.vcpus);
  return {};
}

// ---- sections

void VirtualMachine::create_sections() {
  const auto ticks = [this]() -> Result<std::int64_t> {
    if (vcpus_.size() == 0) return 0;
    GODWIT_TRY(read_cpu(0));
    return static_cast<std::int64_t>(cpu_states_[0].tsc);
  };
  sections_.push_back(clock_.section(ticks, [this](std::int64_t loaded) { loaded_ticks_ = loaded; }));
  for (unsigned index = 0; index < vcpus_.size(); ++index) add_cpu_sections(index);
  board_->add_sections(sections_);
}

void VirtualMachine::add_cpu_sections(unsigned index) {
  CpuState& state = cpu_states_[index];
  sections_.push_back(
      make_section("cpu_common", index, cpu_common_table(), state,
                   {.before_save = [this, index] { return read_cpu(index); }, .after_load = {}}));
  sections_.push_back(
      make_section("cpu", index, cpu_table(), state,
                   {.before_save = {}, .after_load = [this, index] { return write_cpu(index); }}));
}

Result<> VirtualMachine::read_cpu(unsigned index) {
  Result<CpuState> state;
  vcpus_[index].call([&state](Vcpu& vcpu) { state = vcpu.state(); });
  GODWIT_ASSIGN(cpu_states_[index], std::move(state));
  return {};
}

Result<> VirtualMachine::write_cpu(unsigned index) {
  CpuState& state = cpu_states_[index];
  // A translator's sections have the counter in `timer` only.
  if (state.tsc == 0) state.tsc = static_cast<std::uint64_t>(loaded_ticks_);
  Result<> done;
  vcpus_[index].call([&](Vcpu& vcpu) { done = vcpu.set_state(state); });
  GODWIT_TRY(std::move(done));
  vcpus_[index].unpark();
  return {};
}

Result<> VirtualMachine::reset_vcpus() {
  for (unsigned index = 0; index < vcpus_.size(); ++index) {
    cpu_states_[index] = board_->initial_cpu(index);
    GODWIT_TRY(write_cpu(index));
  }
  return {};
}

// ---- run state

RunState VirtualMachine::run_state() const {
  const std::lock_guard lock(state_mutex_);
  return state_.state();
}

bool VirtualMachine::autostart() const {
  const std::lock_guard lock(state_mutex_);
  return autostart_;
}

Result<> VirtualMachine::set_run_state(RunState state) {
  const std::lock_guard lock(state_mutex_);
  return change_state(state);
}

Result<> VirtualMachine::change_state(RunState next) {
  GODWIT_TRY(state_.check(next));
  const bool was_running = state_.is_running();
  const bool will_run = next == RunState::running;
  if (was_running && !will_run) {
    vcpus_.stop();
    clock_.stop();
  }
  GODWIT_TRY(state_.to(next));
  if (!was_running && will_run) {
    clock_.start();
    vcpus_.resume();
    observer_.on_resume();
  } else if (was_running && !will_run) {
    observer_.on_stop();
  }
  return {};
}

Result<> VirtualMachine::monitor_stop() {
  const std::lock_guard lock(state_mutex_);
  if (state_.state() == RunState::inmigrate) autostart_ = false;
  if (!state_.is_running()) return {};
  return change_state(RunState::paused);
}

Result<> VirtualMachine::monitor_cont() {
  const std::lock_guard lock(state_mutex_);
  switch (state_.state()) {
    case RunState::inmigrate:
      autostart_ = true;
      return {};
    case RunState::finish_migrate:
      return fail("Migration is not finalized yet");
    case RunState::suspended:
      return {};  // it takes a wake-up
    default:
      break;
  }
  if (needs_reset(state_.state())) return fail("Resetting the Virtual Machine is required");
  return change_state(RunState::running);
}

Result<> VirtualMachine::monitor_reset() {
  const std::lock_guard lock(state_mutex_);
  const RunState state = state_.state();
  if (state == RunState::inmigrate) return fail("The guest has not arrived yet");
  if (state == RunState::finish_migrate) return fail("Migration is not finalized yet");
  const bool was_running = state_.is_running();
  if (was_running) vcpus_.stop();
  auto done = reset_devices_and_vcpus();
  if (was_running) vcpus_.resume();
  GODWIT_TRY(std::move(done));
  return was_running ? Result<>() : change_state(RunState::prelaunch);
}

Result<> VirtualMachine::reset_devices_and_vcpus() {
  GODWIT_TRY(board_->reset());
  loaded_ticks_ = 0;
  return reset_vcpus();
}

void VirtualMachine::on_vcpu_reset(unsigned) {
  observer_.on_guest_reset_request();
}

void VirtualMachine::on_vcpu_error(unsigned, const Error& error) {
  {
    const std::lock_guard lock(state_mutex_);
    if (state_.is_running()) {
      if (auto changed = change_state(RunState::internal_error); !changed)
        log::error("{}", changed.error().what());
    }
  }
  observer_.on_internal_error(error.what());
}

// ---- the rest

std::vector<VcpuInfo> VirtualMachine::vcpus() const {
  std::vector<VcpuInfo> infos;
  infos.reserve(vcpus_.size());
  for (std::size_t i = 0; i < vcpus_.size(); ++i) infos.push_back({vcpus_[i].thread_id(), vcpus_[i].index()});
  return infos;
}

std::vector<int> VirtualMachine::vcpu_thread_ids() const {
  std::vector<int> ids;
  for (std::size_t i = 0; i < vcpus_.size(); ++i) ids.push_back(vcpus_[i].thread_id());
  return ids;
}

void VirtualMachine::read_memory(std::uint64_t guest_address, std::span<std::byte> into) {
  board_->read_memory(guest_address, into);
}

void VirtualMachine::write_memory(std::uint64_t guest_address, std::span<const std::byte> from) {
  board_->write_memory(guest_address, from);
}

std::uint32_t VirtualMachine::read_port(std::uint16_t port, unsigned size) {
  return board_->read_port(port, size);
}

void VirtualMachine::write_port(std::uint16_t port, unsigned size, std::uint32_t value) {
  board_->write_port(port, size, value);
}

void VirtualMachine::shut_down() {
  vcpus_.shut_down();
}

}  // namespace godwit::vm
