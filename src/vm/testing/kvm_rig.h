// One vCPU of the kernel's, without a machine around it.
#pragma once

#include <gtest/gtest.h>
#include <memory>

#include "base/testing/not_tested_here.h"
#include "vm/accel/kvm/kvm_accelerator.h"
#include "vm/testing/machine_rig.h"

namespace godwit::vm::testing {

struct NoBus final : Bus {
  std::uint32_t read_port(std::uint16_t, unsigned) override { return 0; }
  void write_port(std::uint16_t, unsigned, std::uint32_t) override {}
  void read_memory(std::uint64_t, std::span<std::byte>) override {}
  void write_memory(std::uint64_t, std::span<const std::byte>) override {}
};

class KvmVcpuRig : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_kvm()) NOT_TESTED_HERE() << "/dev/kvm cannot be used";
    auto accelerator =
        KvmAccelerator::open({.dirty_ring_size = 0, .cpu_model = {}, .interrupt_controllers = true});
    ASSERT_TRUE(accelerator) << accelerator.error().what();
    accelerator_ = std::move(*accelerator);
    auto vcpu = accelerator_->create_vcpu(0, bus_);
    ASSERT_TRUE(vcpu) << vcpu.error().what();
    vcpu_ = std::move(*vcpu);
  }

  NoBus bus_;
  std::unique_ptr<KvmAccelerator> accelerator_;
  std::unique_ptr<Vcpu> vcpu_;
};

}  // namespace godwit::vm::testing
