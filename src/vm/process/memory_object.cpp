#include "vm/process/memory_object.h"

#include "base/fail.h"

namespace godwit::vm {

std::optional<MemoryBackend::Kind> memory_kind(schema::ObjectType type) {
  switch (type) {
    case schema::ObjectType::memory_backend_ram:
      return MemoryBackend::Kind::anonymous;
    case schema::ObjectType::memory_backend_memfd:
      return MemoryBackend::Kind::memfd;
    case schema::ObjectType::memory_backend_file:
      return MemoryBackend::Kind::file;
    default:
      return std::nullopt;
  }
}

schema::ObjectType object_type(MemoryBackend::Kind kind) {
  switch (kind) {
    case MemoryBackend::Kind::memfd:
      return schema::ObjectType::memory_backend_memfd;
    case MemoryBackend::Kind::file:
      return schema::ObjectType::memory_backend_file;
    case MemoryBackend::Kind::anonymous:
      break;
  }
  return schema::ObjectType::memory_backend_ram;
}

Result<> check_memory_backend(const MemoryBackend& backend) {
  if (backend.size == 0)
    return fail("property 'size' of {} doesn't take value '0'", to_string(object_type(backend.kind)));
  const std::uint64_t huge = backend.huge_page_size;
  if (huge != 0 && (huge & (huge - 1)) != 0) return fail("hugetlbsize {} is not a power of two", huge);
  if (huge != 0 && backend.size % huge != 0)
    return fail("size {} of memory-backend-memfd is not a multiple of its hugetlbsize {}", backend.size,
                huge);
  return {};
}

}  // namespace godwit::vm
