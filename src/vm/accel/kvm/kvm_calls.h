// ioctl on KVM's descriptors, with errors as values.
#pragma once

#include <cerrno>
#include <string>
#include <sys/ioctl.h>

#include "base/system.h"

namespace godwit::vm {

/// An ioctl whose argument is a number.
inline Result<int> kvm_call(const UniqueFd& fd, unsigned long request, unsigned long argument,
                            const char* what) {
  const int result = ::ioctl(fd.get(), request, argument);
  if (result < 0) return system_error(std::string("KVM: cannot ") + what, errno);
  return result;
}

/// An ioctl whose argument is a structure.
template <typename T>
Result<int> kvm_call(const UniqueFd& fd, unsigned long request, T* argument, const char* what) {
  const int result = ::ioctl(fd.get(), request, argument);
  if (result < 0) return system_error(std::string("KVM: cannot ") + what, errno);
  return result;
}

}  // namespace godwit::vm
