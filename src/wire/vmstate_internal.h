// What saving and loading by field tables share.
#pragma once

#include <cstring>
#include <string>

#include <godwit/vmstate.h>

namespace godwit::vmstate {

inline Elements elements_of(const Field& field, std::byte* object) {
  if (field.place.locate) return field.place.locate(object);
  return {object + field.place.offset, field.place.count};
}

inline bool exists(const Field& field, const std::byte* object, std::uint32_t version) {
  return field.since <= version && (!field.when || field.when(object, version));
}

inline Number load_number(const Field& field, const std::byte* from) {
  std::uint64_t bits = 0;
  switch (field.width) {
    case 1: {
      std::uint8_t value;
      std::memcpy(&value, from, 1);
      bits = field.is_signed ? static_cast<std::uint64_t>(static_cast<std::int8_t>(value)) : value;
      break;
    }
    case 2: {
      std::uint16_t value;
      std::memcpy(&value, from, 2);
      bits = field.is_signed ? static_cast<std::uint64_t>(static_cast<std::int16_t>(value)) : value;
      break;
    }
    case 4: {
      std::uint32_t value;
      std::memcpy(&value, from, 4);
      bits = field.is_signed ? static_cast<std::uint64_t>(static_cast<std::int32_t>(value)) : value;
      break;
    }
    default:
      std::memcpy(&bits, from, 8);
  }
  return {bits, field.is_signed};
}

inline void store_number(const Field& field, std::byte* to, std::uint64_t bits) {
  switch (field.width) {
    case 1: {
      const auto value = static_cast<std::uint8_t>(field.is_bool ? bits != 0 : bits);
      std::memcpy(to, &value, 1);
      break;
    }
    case 2: {
      const auto value = static_cast<std::uint16_t>(bits);
      std::memcpy(to, &value, 2);
      break;
    }
    case 4: {
      const auto value = static_cast<std::uint32_t>(bits);
      std::memcpy(to, &value, 4);
      break;
    }
    default:
      std::memcpy(to, &bits, 8);
  }
}

}  // namespace godwit::vmstate
