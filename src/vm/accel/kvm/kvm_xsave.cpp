#include "vm/accel/kvm/kvm_xsave.h"

#include <cstring>

#include "vm/accel/apic_coupling.h"

namespace godwit::vm {
namespace {

using std::uint64_t;

/// Offsets into an XSAVE area in standard form, bytes.
namespace xsave_at {
constexpr std::size_t fcw = 0, fsw = 2, ftw = 4, fop = 6, fip = 8, fdp = 16, mxcsr = 24, fpr = 32, xmm = 160;
constexpr std::size_t xstate_bv = 512, ymm_high = 576;
constexpr std::size_t fpr_stride = 16;
}  // namespace xsave_at
constexpr std::uint64_t avx_component = 4;

template <typename T>
T read_at(const abi::Xsave& area, std::size_t offset) {
  T value;
  std::memcpy(&value, area.area.data() + offset, sizeof value);
  return value;
}
template <typename T>
void write_at(abi::Xsave& area, std::size_t offset, const T& value) {
  std::memcpy(area.area.data() + offset, &value, sizeof value);
}

}  // namespace

void unpack_xsave(const abi::Xsave& area, CpuState& state) {
  using namespace xsave_at;
  state.fpu_control = read_at<std::uint16_t>(area, fcw);
  state.fpu_status = read_at<std::uint16_t>(area, fsw);
  state.fpu_tags = read_at<std::uint8_t>(area, ftw);
  state.fpu_opcode = read_at<std::uint16_t>(area, fop);
  state.fpu_ip = read_at<uint64_t>(area, fip);
  state.fpu_dp = read_at<uint64_t>(area, fdp);
  state.mxcsr = read_at<std::uint32_t>(area, mxcsr);
  for (std::size_t i = 0; i < state.fpu.size(); ++i)
    state.fpu[i] = {read_at<uint64_t>(area, fpr + i * fpr_stride),
                    read_at<std::uint16_t>(area, fpr + i * fpr_stride + 8)};
  for (std::size_t i = 0; i < state.xmm.size(); ++i)
    state.xmm[i] = read_at<VectorHalf>(area, xmm + i * sizeof(VectorHalf));
  state.xstate_bv = read_at<uint64_t>(area, xstate_bv) | changed_components(state);
  state.ymm_high = {};
  if (state.xstate_bv & avx_component)
    for (std::size_t i = 0; i < state.ymm_high.size(); ++i)
      state.ymm_high[i] = read_at<VectorHalf>(area, ymm_high + i * sizeof(VectorHalf));
}

abi::Xsave pack_xsave(const CpuState& state, std::uint64_t components) {
  abi::Xsave area;
  using namespace xsave_at;
  write_at(area, fcw, state.fpu_control);
  write_at(area, fsw, state.fpu_status);
  write_at(area, ftw, static_cast<std::uint8_t>(state.fpu_tags));
  write_at(area, fop, state.fpu_opcode);
  write_at(area, fip, state.fpu_ip);
  write_at(area, fdp, state.fpu_dp);
  write_at(area, mxcsr, state.mxcsr);
  for (std::size_t i = 0; i < state.fpu.size(); ++i) {
    write_at(area, fpr + i * fpr_stride, state.fpu[i].mantissa);
    write_at(area, fpr + i * fpr_stride + 8, state.fpu[i].exponent);
  }
  for (std::size_t i = 0; i < state.xmm.size(); ++i)
    write_at(area, xmm + i * sizeof(VectorHalf), state.xmm[i]);
  for (std::size_t i = 0; i < state.ymm_high.size(); ++i)
    write_at(area, ymm_high + i * sizeof(VectorHalf), state.ymm_high[i]);
  write_at(area, xstate_bv, state.xstate_bv & components);
  return area;
}

}  // namespace godwit::vm
