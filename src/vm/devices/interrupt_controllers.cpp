#include "vm/devices/interrupt_controllers.h"

#include <utility>

namespace godwit::vm {

class InterruptControllers::Processor final : public VcpuInterrupts {
 public:
  Processor(InterruptControllers& owner, unsigned index) : owner_(owner), index_(index) {}

  void set_wake(std::function<void()> wake) override {
    const std::lock_guard lock(owner_.mutex_);
    wake_ = std::move(wake);
  }
  bool has_event(bool interruptible) override {
    const std::lock_guard lock(owner_.mutex_);
    return owner_.has_event(index_, interruptible);
  }
  VcpuEvent take(bool interruptible) override {
    const std::lock_guard lock(owner_.mutex_);
    return owner_.take(index_, interruptible);
  }
  bool give_back(std::uint8_t vector) override {
    const std::lock_guard lock(owner_.mutex_);
    return apic().give_back(vector);
  }
  bool waits_for_start() override {
    const std::lock_guard lock(owner_.mutex_);
    return apic().state().wait_for_sipi != 0;
  }
  void wait_for_start() override {
    const std::lock_guard lock(owner_.mutex_);
    apic().state().wait_for_sipi = 1;
  }
  std::uint32_t read_register(unsigned offset) override {
    const std::lock_guard lock(owner_.mutex_);
    return apic().read(offset);
  }
  void write_register(unsigned offset, std::uint32_t value) override {
    const std::lock_guard lock(owner_.mutex_);
    apic().write(offset, value);
    owner_.wake();
  }
  std::uint64_t base() override {
    const std::lock_guard lock(owner_.mutex_);
    return apic().state().base;
  }

  void wake() const {
    if (wake_) wake_();
  }

 private:
  LocalApic& apic() { return owner_.apics_[index_]; }
  InterruptControllers& owner_;
  const unsigned index_;
  std::function<void()> wake_;
};

class InterruptControllers::PicPorts final : public PortDevice {
 public:
  PicPorts(InterruptControllers& owner, unsigned chip) : owner_(owner), chip_(chip) {}
  std::uint8_t read(unsigned offset) override {
    const std::lock_guard lock(owner_.mutex_);
    const std::uint8_t value = owner_.pics_.read(chip_, offset);
    owner_.wake();
    return value;
  }
  void write(unsigned offset, std::uint8_t value) override {
    const std::lock_guard lock(owner_.mutex_);
    owner_.pics_.write(chip_, offset, value);
    owner_.wake();
  }

 private:
  InterruptControllers& owner_;
  const unsigned chip_;
};

class InterruptControllers::ElcrPorts final : public PortDevice {
 public:
  explicit ElcrPorts(InterruptControllers& owner) : owner_(owner) {}
  std::uint8_t read(unsigned offset) override {
    const std::lock_guard lock(owner_.mutex_);
    return owner_.pics_.read_elcr(offset);
  }
  void write(unsigned offset, std::uint8_t value) override {
    const std::lock_guard lock(owner_.mutex_);
    owner_.pics_.write_elcr(offset, value);
  }

 private:
  InterruptControllers& owner_;
};

InterruptControllers::InterruptControllers(unsigned processors, bool has_pic, GuestTimers& timers)
    : has_pic_(has_pic),
      timers_(timers),
      ioapic_([this](const InterruptMessage& message) { send(message); },
              [this] { return pics_.acknowledge(); }) {
  if (has_pic) {
    master_ports_ = std::make_unique<PicPorts>(*this, PicState::master);
    slave_ports_ = std::make_unique<PicPorts>(*this, PicState::slave);
    elcr_ports_ = std::make_unique<ElcrPorts>(*this);
  }
  for (unsigned index = 0; index < processors; ++index) {
    processors_.push_back(std::make_unique<Processor>(*this, index));
    apic_timers_.push_back(&timers.add(GuestTime::Base::virtual_clock, [this, index] {
      const std::lock_guard lock(mutex_);
      apics_[index].on_timer();
      wake();
    }));
    apics_.emplace_back(index, static_cast<LocalApic::Environment&>(*this));
  }
}

InterruptControllers::~InterruptControllers() = default;

VcpuInterrupts& InterruptControllers::processor(unsigned index) {
  return *processors_[index];
}

PortDevice& InterruptControllers::master_ports() {
  return *master_ports_;
}

PortDevice& InterruptControllers::slave_ports() {
  return *slave_ports_;
}

PortDevice& InterruptControllers::elcr_ports() {
  return *elcr_ports_;
}

// ---- lines and messages

void InterruptControllers::set_line(unsigned line, bool high) {
  const std::lock_guard lock(mutex_);
  if (has_pic_) pics_.set_line(line, high);
  ioapic_.set_line(line, high);
  wake();
}

void InterruptControllers::send(const InterruptMessage& message) {
  LocalApic* chosen = nullptr;
  for (LocalApic& apic : apics_) {
    if (!apic.is_addressed_by(message)) continue;
    if (message.mode != DeliveryMode::lowest_priority) {
      apic.accept(message);
    } else if (!chosen || apic.processor_priority() < chosen->processor_priority()) {
      chosen = &apic;
    }
  }
  if (chosen) chosen->accept(message);
}

void InterruptControllers::send_to(unsigned index, const InterruptMessage& message) {
  apics_[index].accept(message);
}

void InterruptControllers::end_of_level_interrupt(std::uint8_t vector) {
  ioapic_.end_of_interrupt(vector);
}

std::int64_t InterruptControllers::now_ns() {
  return timers_.time().now_ns(GuestTime::Base::virtual_clock);
}

void InterruptControllers::arm(unsigned index, std::int64_t when_ns) {
  apic_timers_[index]->arm(when_ns);
}

std::uint32_t InterruptControllers::read_ioapic(unsigned offset) {
  const std::lock_guard lock(mutex_);
  return ioapic_.read(offset);
}

void InterruptControllers::write_ioapic(unsigned offset, std::uint32_t value) {
  const std::lock_guard lock(mutex_);
  ioapic_.write(offset, value);
  wake();
}

// ---- what the processors see

bool InterruptControllers::external_interrupt(unsigned index) const {
  // The PIC is wired to the first processor.
  return has_pic_ && index == 0 && pics_.output() && apics_[index].passes_external();
}

bool InterruptControllers::has_event(unsigned index, bool interruptible) const {
  const LocalApic& apic = apics_[index];
  if (apic.init_pending || apic.start_vector) return true;
  if (apic.waits_for_start()) return false;
  if (apic.nmi_pending) return true;
  return interruptible && (apic.deliverable() || external_interrupt(index));
}

VcpuEvent InterruptControllers::take(unsigned index, bool interruptible) {
  LocalApic& apic = apics_[index];
  if (std::exchange(apic.init_pending, false)) {
    apic.init();
    return {VcpuEvent::Kind::init, 0};
  }
  if (const auto vector = std::exchange(apic.start_vector, std::nullopt)) {
    apic.state().wait_for_sipi = 0;
    return {VcpuEvent::Kind::start, *vector};
  }
  if (apic.waits_for_start()) return {};
  if (std::exchange(apic.nmi_pending, false)) return {VcpuEvent::Kind::nmi, 2};
  if (!interruptible) return {};
  if (apic.deliverable()) return {VcpuEvent::Kind::interrupt, apic.take()};
  if (external_interrupt(index)) return {VcpuEvent::Kind::interrupt, pics_.acknowledge()};
  return {};
}

void InterruptControllers::wake() {
  for (unsigned index = 0; index < processors_.size(); ++index)
    if (has_event(index, true)) processors_[index]->wake();
}

// ---- loading

void InterruptControllers::after_load_apic(unsigned index) {
  const std::lock_guard lock(mutex_);
  apics_[index].after_load();
  wake();
}

void InterruptControllers::after_load_ioapic() {
  const std::lock_guard lock(mutex_);
  ioapic_.after_load();
  wake();
}

void InterruptControllers::after_load_pic() {
  const std::lock_guard lock(mutex_);
  wake();
}

void InterruptControllers::reset() {
  const std::lock_guard lock(mutex_);
  for (LocalApic& apic : apics_) apic.reset();
  ioapic_.reset();
  pics_.reset();
}

}  // namespace godwit::vm
