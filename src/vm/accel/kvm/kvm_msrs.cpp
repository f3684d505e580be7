#include "vm/accel/kvm/kvm_msrs.h"

namespace godwit::vm {

std::vector<MsrPlace> msr_places(CpuState& state) {
  std::vector<MsrPlace> places = {
      {msr::feature_control, &state.feature_control},
      {0x174, nullptr, &state.sysenter_cs},
      {0x175, &state.sysenter_esp},
      {0x176, &state.sysenter_eip},
      {0x277, &state.pat},
      {0xc0000081, &state.star},
      {0xc0000082, &state.lstar},
      {0xc0000083, &state.cstar},
      {0xc0000084, &state.fmask},
      {0xc0000102, &state.kernel_gs_base},
      {0xc0000103, &state.tsc_aux},
      {0xc0010117, &state.svm_hsave},
      {0x9e, nullptr, &state.smbase},
      {0x1a0, &state.misc_enable},
      {0x48, &state.spec_ctrl},
      {0xda0, &state.xss},
      {0x3b, &state.tsc_adjust},
      {msr::tsc, &state.tsc},
      {0x4b564d00, &state.kvm_wall_clock},
      {0x4b564d01, &state.kvm_system_time},
      {0x4b564d02, &state.kvm_async_pf},
      {0x4b564d06, &state.kvm_async_pf_int},
      {0x4b564d03, &state.kvm_steal_time},
      {0x4b564d04, &state.kvm_pv_eoi},
      {0x4b564d05, &state.kvm_poll_control},
      {0x2ff, &state.mtrr_default},
  };
  constexpr std::uint32_t fixed[] = {0x250, 0x258, 0x259, 0x268, 0x269, 0x26a,
                                     0x26b, 0x26c, 0x26d, 0x26e, 0x26f};
  for (std::size_t i = 0; i < state.mtrr_fixed.size(); ++i)
    places.push_back({fixed[i], &state.mtrr_fixed[i]});
  for (std::size_t i = 0; i < state.mtrr_variable.size(); ++i) {
    const auto index = static_cast<std::uint32_t>(0x200 + 2 * i);
    places.push_back({index, &state.mtrr_variable[i].base});
    places.push_back({index + 1, &state.mtrr_variable[i].mask});
  }
  places.push_back({0x17a, &state.mcg_status});
  places.push_back({0x17b, &state.mcg_ctl});
  for (std::size_t i = 0; i < state.mce_banks.size(); ++i)
    places.push_back({static_cast<std::uint32_t>(0x400 + i), &state.mce_banks[i]});
  places.push_back({msr::tsc_deadline, &state.tsc_deadline});
  return places;
}

}  // namespace godwit::vm
