#include "vm/accel/choose.h"

#include <optional>
#include <utility>

#include "base/fail.h"
#include "vm/accel/idle/idle_accelerator.h"
#include "vm/accel/kvm/kvm_accelerator.h"
#ifdef GODWIT_UNICORN
#include "vm/accel/unicorn/unicorn_accelerator.h"
#endif

namespace godwit::vm {
namespace {

Result<std::unique_ptr<Accelerator>> open_kvm(const AcceleratorRequest& request, const std::string& cpu_model,
                                              MachineKind kind) {
  return KvmAccelerator::open({.dirty_ring_size = request.dirty_ring_size,
                               .cpu_model = cpu_model,
                               .interrupt_controllers = kind == MachineKind::microvm});
}

Result<std::unique_ptr<Accelerator>> open_unicorn() {
#ifdef GODWIT_UNICORN
  return UnicornAccelerator::open();
#else
  return fail("this build has no Unicorn");
#endif
}

}  // namespace

Result<ChosenAccelerator> choose_accelerator(const std::vector<AcceleratorRequest>& requests,
                                             const std::string& cpu_model, MachineKind kind) {
  const bool has_vcpus = kind != MachineKind::none;
  const std::vector<AcceleratorRequest> defaults = {{.name = "kvm"}, {.name = "tcg"}};
  std::optional<Error> kvm_error;
  std::optional<Error> last_error;
  bool idle_suffices = false;
  for (const AcceleratorRequest& request : requests.empty() ? defaults : requests) {
    if (request.name == "qtest") {
      idle_suffices = true;
      if (!kvm_error) break;
    }
    if (request.name == "kvm") {
      auto kvm = open_kvm(request, cpu_model, kind);
      if (kvm) return ChosenAccelerator{std::move(*kvm), {}};
      kvm_error = last_error = std::move(kvm).error();
    } else if (request.name == "tcg") {
      if (!has_vcpus) return ChosenAccelerator{std::make_unique<IdleAccelerator>("tcg"), {}};
      if (kvm_error) break;  // with the note below
      auto unicorn = open_unicorn();
      if (unicorn) return ChosenAccelerator{std::move(*unicorn), {}};
      last_error = std::move(unicorn).error();
    }
  }

  if (idle_suffices && (!kvm_error || !has_vcpus))
    return ChosenAccelerator{std::make_unique<IdleAccelerator>("qtest"), {}};
  if (!has_vcpus) return ChosenAccelerator{std::make_unique<IdleAccelerator>("tcg"), {}};
  if (kvm_error) {
    auto unicorn = open_unicorn();
    if (unicorn)
      return ChosenAccelerator{
          std::move(*unicorn),
          fmt::format("KVM cannot be used ({}): Unicorn runs the guest instead, much slower",
                      kvm_error->what())};
    if (idle_suffices) return ChosenAccelerator{std::make_unique<IdleAccelerator>("qtest"), {}};
    return fail("no accelerator can be used: {}; {}", kvm_error->what(), unicorn.error().what());
  }
  if (last_error) return fail("no accelerator can be used: {}", last_error->what());
  return fail("no accelerator can be used: none of those asked for is known (kvm, tcg, qtest)");
}

}  // namespace godwit::vm
