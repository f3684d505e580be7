// The bus as one vCPU sees it: its own local APIC answers at the APIC's page.
#pragma once

#include "vm/accel/accelerator.h"
#include "vm/accel/vcpu_interrupts.h"

namespace godwit::vm {

class ApicPageBus final : public Bus {
 public:
  explicit ApicPageBus(Bus& outside) : outside_(outside) {}
  void use_interrupts(VcpuInterrupts& interrupts) { interrupts_ = &interrupts; }

  std::uint32_t read_port(std::uint16_t port, unsigned size) override {
    return outside_.read_port(port, size);
  }
  void write_port(std::uint16_t port, unsigned size, std::uint32_t value) override {
    outside_.write_port(port, size, value);
  }
  void read_memory(std::uint64_t guest_address, std::span<std::byte> into) override;
  void write_memory(std::uint64_t guest_address, std::span<const std::byte> from) override;

 private:
  bool is_apic(std::uint64_t guest_address) const {
    return interrupts_ && guest_address - VcpuInterrupts::page_address < VcpuInterrupts::page_size;
  }
  Bus& outside_;
  VcpuInterrupts* interrupts_ = nullptr;
};

}  // namespace godwit::vm
