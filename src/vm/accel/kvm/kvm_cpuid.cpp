#include "vm/accel/kvm/kvm_cpuid.h"

#include <algorithm>
#include <cstdint>
#include <ranges>

#include "vm/accel/kvm/kvm_abi.h"
#include "vm/accel/kvm/kvm_calls.h"

namespace godwit::vm {
namespace {

using Entry = kvm_cpuid_entry2;
using Word = std::uint32_t Entry::*;

struct Feature {
  std::string_view name;
  std::uint32_t leaf;
  Word word;
  unsigned bit;
};

/// Those that -cpu MODEL,-FEATURE may name.
constexpr Feature features[] = {{"pni", 1, &Entry::ecx, 0},          {"sse3", 1, &Entry::ecx, 0},
                                {"pclmulqdq", 1, &Entry::ecx, 1},    {"ssse3", 1, &Entry::ecx, 9},
                                {"fma", 1, &Entry::ecx, 12},         {"cx16", 1, &Entry::ecx, 13},
                                {"sse4.1", 1, &Entry::ecx, 19},      {"sse4.2", 1, &Entry::ecx, 20},
                                {"x2apic", 1, &Entry::ecx, 21},      {"movbe", 1, &Entry::ecx, 22},
                                {"popcnt", 1, &Entry::ecx, 23},      {"tsc-deadline", 1, &Entry::ecx, 24},
                                {"aes", 1, &Entry::ecx, 25},         {"xsave", 1, &Entry::ecx, 26},
                                {"avx", 1, &Entry::ecx, 28},         {"f16c", 1, &Entry::ecx, 29},
                                {"rdrand", 1, &Entry::ecx, 30},      {"hypervisor", 1, &Entry::ecx, 31},
                                {"fsgsbase", 7, &Entry::ebx, 0},     {"bmi1", 7, &Entry::ebx, 3},
                                {"avx2", 7, &Entry::ebx, 5},         {"smep", 7, &Entry::ebx, 7},
                                {"bmi2", 7, &Entry::ebx, 8},         {"erms", 7, &Entry::ebx, 9},
                                {"rdseed", 7, &Entry::ebx, 18},      {"adx", 7, &Entry::ebx, 19},
                                {"smap", 7, &Entry::ebx, 20},        {"umip", 7, &Entry::ecx, 2},
                                {"svm", 0x80000001, &Entry::ecx, 2}, {"lm", 0x80000001, &Entry::edx, 29}};

void clear(std::vector<Entry>& cpuid, std::uint32_t leaf, Word word, std::uint32_t bits) {
  for (Entry& entry : cpuid)
    if (entry.function == leaf && entry.index == 0) entry.*word &= ~bits;
}

/// The state components we carry: x87, SSE, AVX.
constexpr std::uint32_t carried_components = 7;
/// Bytes of an XSAVE area with those.
constexpr std::uint32_t carried_xsave_size = 832;

void restrict_xsave(std::vector<Entry>& cpuid) {
  for (Entry& entry : cpuid) {
    if (entry.function != 0xd) continue;
    if (entry.index == 0) {
      entry.eax &= carried_components;
      entry.edx = 0;
      entry.ebx = std::min(entry.ebx, carried_xsave_size);
      entry.ecx = std::min(entry.ecx, carried_xsave_size);
    } else if (entry.index != 2) {
      // 1: no compaction, no supervisor states. 3 and up: components that are not carried.
      entry.eax = entry.ebx = entry.ecx = entry.edx = 0;
    }
  }
}

}  // namespace

Result<std::vector<Entry>> supported_cpuid(const UniqueFd& kvm) {
  constexpr std::uint32_t room = 256;
  abi::Cpuid list(room);
  GODWIT_TRY(kvm_call(kvm, abi::get_supported_cpuid, list.header(), "read what the processor can do"));
  return std::vector<Entry>(list.entries().begin(), list.entries().end());
}

void restrict_cpuid(std::vector<Entry>& cpuid, std::string_view model) {
  constexpr std::uint32_t mpx = 1u << 14;
  constexpr std::uint32_t processor_trace = 1u << 25;
  constexpr std::uint32_t sgx = 1u << 2;
  // avx512f dq ifma pf er cd bw vl
  constexpr std::uint32_t avx512_ebx =
      1u << 16 | 1u << 17 | 1u << 21 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 30 | 1u << 31;
  // vbmi pku ospke vbmi2 shstk vnni bitalg vpopcntdq pks
  constexpr std::uint32_t hidden_ecx =
      1u << 1 | 1u << 3 | 1u << 4 | 1u << 6 | 1u << 7 | 1u << 11 | 1u << 12 | 1u << 14 | 1u << 31;
  // 4vnniw 4fmaps vp2intersect, arch-lbr, AMX and AVX512-FP16, CET-IBT
  constexpr std::uint32_t hidden_edx =
      1u << 2 | 1u << 3 | 1u << 8 | 1u << 19 | 1u << 20 | 1u << 22 | 1u << 23 | 1u << 24 | 1u << 25;
  clear(cpuid, 7, &Entry::ebx, mpx | processor_trace | sgx | avx512_ebx);
  clear(cpuid, 7, &Entry::ecx, hidden_ecx);
  clear(cpuid, 7, &Entry::edx, hidden_edx);
  clear(cpuid, 1, &Entry::ecx, 1u << 5);           // VMX
  clear(cpuid, 0x80000001, &Entry::ecx, 1u << 2);  // SVM
  for (Entry& entry : cpuid)
    if (entry.function == 7 && entry.index == 1) entry.eax &= ~(1u << 5);  // AVX512 bfloat16
  restrict_xsave(cpuid);

  for (const auto part : std::views::split(model, ',') | std::views::drop(1)) {
    std::string_view text(part.begin(), part.end());
    std::string_view name;
    if (text.starts_with('-'))
      name = text.substr(1);
    else if (text.ends_with("=off"))
      name = text.substr(0, text.size() - 4);
    for (const Feature& feature : features)
      if (feature.name == name) clear(cpuid, feature.leaf, feature.word, 1u << feature.bit);
  }
}

void number_cpuid(std::vector<Entry>& cpuid, unsigned index) {
  for (Entry& entry : cpuid) {
    if (entry.function == 1) entry.ebx = (entry.ebx & 0x00ffffff) | index << 24;
    if (entry.function == 0xb || entry.function == 0x1f) entry.edx = index;
  }
}

}  // namespace godwit::vm
