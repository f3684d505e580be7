// Structures and request numbers of KVM that end in a flexible array. The kernel's header declares those
// arrays in a way that gives them a size in C++, and with it wrong offsets and wrong request numbers; these
// are right.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <linux/kvm.h>
#include <span>
#include <sys/ioctl.h>
#include <vector>

namespace godwit::vm::abi {

struct CpuidHeader {  // struct kvm_cpuid2
  std::uint32_t count = 0;
  std::uint32_t padding = 0;
};
struct MsrListHeader {  // struct kvm_msr_list
  std::uint32_t count = 0;
};
struct MsrsHeader {  // struct kvm_msrs
  std::uint32_t count = 0;
  std::uint32_t padding = 0;
};
struct Xsave {  // struct kvm_xsave
  std::array<std::byte, 4096> area{};
};

inline constexpr unsigned long get_supported_cpuid = _IOWR(KVMIO, 0x05, CpuidHeader);
inline constexpr unsigned long set_cpuid = _IOW(KVMIO, 0x90, CpuidHeader);
inline constexpr unsigned long get_msr_index_list = _IOWR(KVMIO, 0x02, MsrListHeader);
inline constexpr unsigned long get_msrs = _IOWR(KVMIO, 0x88, MsrsHeader);
inline constexpr unsigned long set_msrs = _IOW(KVMIO, 0x89, MsrsHeader);
inline constexpr unsigned long get_xsave = _IOR(KVMIO, 0xa4, Xsave);
inline constexpr unsigned long set_xsave = _IOW(KVMIO, 0xa5, Xsave);

/// A header, and the entries that follow it in memory.
template <typename Header, typename Entry>
class WithEntries {
 public:
  explicit WithEntries(std::size_t count) : storage_(sizeof(Header) + count * sizeof(Entry)) {
    header()->count = static_cast<std::uint32_t>(count);
  }
  Header* header() { return reinterpret_cast<Header*>(storage_.data()); }
  /// As many as the header says.
  std::span<Entry> entries() {
    return {reinterpret_cast<Entry*>(storage_.data() + sizeof(Header)), header()->count};
  }

 private:
  std::vector<std::byte> storage_;  // from the heap: aligned for both
};

using Cpuid = WithEntries<CpuidHeader, kvm_cpuid_entry2>;
using MsrList = WithEntries<MsrListHeader, std::uint32_t>;
using Msrs = WithEntries<MsrsHeader, kvm_msr_entry>;

}  // namespace godwit::vm::abi
