#include "vm/virtual_machine.h"

#include <algorithm>
#include <utility>

#include "base/fail.h"
#include "base/log.h"
#include "vm/accel/apic_coupling.h"
#include "vm/accel/choose.h"
#include "vm/accel/cpu_section.h"
#include "vm/board/bios.h"

namespace godwit::vm {

std::int64_t MachineTime::now_ns(Base base) const {
  if (base == Base::virtual_clock) return clock_.now().count();
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<Nanoseconds>(now).count();
}

VirtualMachine::VirtualMachine(MachineConfig config, MachineObserver& observer)
    : config_(std::move(config)),
      observer_(observer),
      state_(config_.incoming ? RunState::inmigrate : RunState::prelaunch),
      autostart_(!config_.start_stopped) {}

Result<> VirtualMachine::build() {
  BoardParts parts;
  if (config_.kind == MachineKind::microvm) {
    GODWIT_ASSIGN(parts.bios_image, read_bios(config_.bios));
  }
  GODWIT_ASSIGN(memory_, GuestMemory::create(config_, parts.bios_image.size()));
  marks_ = std::make_unique<memory::DirtyMarks>(memory_.blocks());

  GODWIT_TRY(choose_accelerator());
  parts.is_kvm = accelerator_->name() == "kvm";
  if (!memory_.blocks().empty()) {
    parts.ram = memory_.blocks()[0].host;
    parts.ram_size = memory_.blocks()[0].size;
  }
  if (memory_.blocks().size() > 1) parts.bios = memory_.blocks()[1].host;
  parts.mark_written = [this](const MemoryMap::Piece& piece) {
    marks_->mark_bytes(piece.block, piece.block_offset, piece.bytes.size());
  };
  parts.request_reset = [this] { observer_.on_guest_reset_request(); };
  parts.timers = &timers_;
  parts.sends_clock = [this] { return sends_clock(); };
  board_ = make_board(config_, std::move(parts));

  GODWIT_TRY(accelerator_->map_ram(board_->memory().slots()));
  GODWIT_TRY(create_vcpus());
  GODWIT_TRY(create_chips());
  GODWIT_ASSIGN(auto tracker, accelerator_->create_dirty_tracker());
  tracker_ = std::make_unique<memory::MarkedTracker>(std::move(tracker), *marks_);
  create_sections();
  // What an incoming migration brings, it does not need from the disk.
  GODWIT_TRY(config_.incoming ? board_->await_guest() : board_->reset());
  return reset_vcpus();
}

Result<> VirtualMachine::choose_accelerator() {
  GODWIT_ASSIGN(auto chosen, vm::choose_accelerator(config_.accelerators, config_.cpu_model, config_.kind));
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

Result<> VirtualMachine::create_chips() {
  auto options = board_->chip_options(clock_);
  if (!options) return {};
  options->timers = &timers_;
  GODWIT_ASSIGN(chips_, accelerator_->create_chips(*options));
  board_->use_chips(*chips_);
  apic_states_.resize(vcpus_.size());
  awaits_apic_.resize(vcpus_.size());
  return {};
}

// ---- sections

void VirtualMachine::create_sections() {
  const auto ticks = [this]() -> Result<std::int64_t> {
    if (vcpus_.size() == 0) return 0;
    Result<std::uint64_t> read;
    vcpus_[0].call([&read](Vcpu& vcpu) { read = vcpu.ticks(); });
    GODWIT_ASSIGN(const auto count, std::move(read));
    return static_cast<std::int64_t>(count);
  };
  sections_.push_back(clock_.section(ticks, [this](std::int64_t loaded) { loaded_ticks_ = loaded; }));
  board_->add_first_sections(sections_);
  for (unsigned index = 0; index < vcpus_.size(); ++index) {
    add_cpu_sections(index);
    board_->add_vcpu_sections(index, sections_);
    if (chips_) add_apic_section(index);
  }
  board_->add_sections(sections_);
}

void VirtualMachine::add_cpu_sections(unsigned index) {
  CpuState& state = cpu_states_[index];
  sections_.push_back(
      make_section("cpu_common", index, cpu_common_table(), state,
                   {.before_save = [this, index] { return read_cpu_to_save(index); }, .after_load = {}}));
  sections_.push_back(
      make_section("cpu", index, cpu_table(), state,
                   {.before_save = {}, .after_load = [this, index] { return take_loaded_cpu(index); }}));
}

void VirtualMachine::add_apic_section(unsigned index) {
  const auto after_load = [this, index]() -> Result<> {
    GODWIT_TRY(chips_->set_apic(index, apic_states_[index]));
    return write_cpu(index);
  };
  sections_.push_back(
      make_apic_section(apic_states_[index], index, {.before_save = {}, .after_load = after_load}));
}

Result<> VirtualMachine::read_cpu_to_save(unsigned index) {
  GODWIT_TRY(read_cpu(index));
  if (chips_) {
    GODWIT_ASSIGN(apic_states_[index], chips_->apic(index));
    couple_for_saving(cpu_states_[index], apic_states_[index]);
  }
  if (config_.microvm.peer == Peer::translator) order_for_translator(cpu_states_[index]);
  return {};
}

Result<> VirtualMachine::take_loaded_cpu(unsigned index) {
  CpuState& state = cpu_states_[index];
  if (is_from_translator(state)) accept_from_translator(state);
  state.xstate_bv |= changed_components(state);
  if (!chips_) return write_cpu(index);
  // Its start-up state and its deadline depend on the APIC, which follows.
  awaits_apic_[index] = true;
  return {};
}

/// Those whose APIC has not come.
Result<> VirtualMachine::write_loaded_cpus() {
  for (unsigned index = 0; index < awaits_apic_.size(); ++index)
    if (awaits_apic_[index]) GODWIT_TRY(write_cpu(index));
  return {};
}

bool VirtualMachine::sends_clock() const {
  if (config_.microvm.peer != Peer::unknown) return config_.microvm.peer == Peer::kvm;
  // A guest that reads the clock can run nowhere else; the others do not miss it.
  return std::ranges::any_of(cpu_states_, [](const CpuState& state) { return state.kvm_system_time & 1; });
}

Result<> VirtualMachine::read_cpu(unsigned index) {
  Result<CpuState> state;
  vcpus_[index].call([&state](Vcpu& vcpu) { state = vcpu.state(); });
  GODWIT_ASSIGN(cpu_states_[index], std::move(state));
  return {};
}

Result<> VirtualMachine::write_cpu(unsigned index) {
  CpuState state = cpu_states_[index];
  // A translator's sections have the counter in `timer` only.
  if (state.tsc == 0) state.tsc = static_cast<std::uint64_t>(loaded_ticks_);
  if (chips_) couple_after_loading(state, apic_states_[index]);
  Result<> done;
  vcpus_[index].call([&](Vcpu& vcpu) { done = vcpu.set_state(state); });
  GODWIT_TRY(std::move(done));
  if (chips_) awaits_apic_[index] = false;
  vcpus_[index].unpark();
  return {};
}

Result<> VirtualMachine::reset_vcpus() {
  for (unsigned index = 0; index < vcpus_.size(); ++index) {
    cpu_states_[index] = board_->initial_cpu(index);
    if (chips_) {
      apic_states_[index] = reset_apic(index);
      GODWIT_TRY(chips_->set_apic(index, apic_states_[index]));
    }
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
  GODWIT_TRY(write_loaded_cpus());
  const bool was_running = state_.is_running();
  const bool will_run = next == RunState::running;
  if (was_running && !will_run) {
    vcpus_.stop();
    timers_.pause();
    clock_.stop();
    if (chips_) GODWIT_TRY(chips_->stopped());
  }
  if (!was_running && will_run && chips_) GODWIT_TRY(chips_->starting());
  GODWIT_TRY(state_.to(next));
  if (!was_running && will_run) {
    clock_.start();
    timers_.resume();
    observer_
        .on_resume();  // before the vCPUs: they may take the processor from this thread, and its time is late
    vcpus_.resume();
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
  if (was_running) {
    vcpus_.stop();
    timers_.pause();
  }
  auto done = reset_devices_and_vcpus();
  if (was_running) {
    timers_.resume();
    vcpus_.resume();
  }
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
  timers_.pause();
}

}  // namespace godwit::vm
