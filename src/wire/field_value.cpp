#include "wire/field_value.h"

#include <algorithm>
#include <string_view>

namespace godwit::wire {
namespace {

struct Number {
  std::size_t width = 0;  ///< bytes; 0: the type is no number
  bool is_signed = false;
};

Number number_type(std::string_view type) {
  if (type == "timer" || type == "CPU_Double_U") return {8, false};
  for (const std::string_view check : {" equal", " le"})
    if (type.ends_with(check)) type.remove_suffix(check.size());
  const bool is_signed = !type.starts_with('u');
  if (!is_signed) type.remove_prefix(1);
  if (type == "int8") return {1, is_signed};
  if (type == "int16") return {2, is_signed};
  if (type == "int32") return {4, is_signed};
  if (type == "int64") return {8, is_signed};
  return {};
}

std::uint64_t load(std::span<const std::byte> bytes) {
  std::uint64_t value = 0;
  for (const std::byte byte : bytes) value = value << 8 | static_cast<std::uint64_t>(byte);
  return value;
}

std::int64_t load_signed(std::span<const std::byte> bytes) {
  const auto unused = static_cast<unsigned>(64 - 8 * bytes.size());
  return static_cast<std::int64_t>(load(bytes) << unused) >> unused;
}

template <typename Value, typename Load>
FieldValue numbers(std::span<const std::byte> bytes, std::size_t width, Load load_one) {
  if (bytes.size() == width) return load_one(bytes);
  std::vector<Value> values;
  values.reserve(bytes.size() / width);
  for (; bytes.size() >= width; bytes = bytes.subspan(width)) values.push_back(load_one(bytes.first(width)));
  return values;
}

StateDescription make_state(std::string_view name, std::uint32_t version,
                            std::vector<FieldDescription> fields) {
  StateDescription state{std::string(name), version, std::move(fields), {}, 0};
  for (const FieldDescription& field : state.fields) state.length += field.size;
  return state;
}

}  // namespace

FieldValue decode_field(const NamedField& field, std::span<const std::byte> body) {
  const auto bytes = body.subspan(field.offset, field.size * field.array_length);
  if (field.type == "bool" && bytes.size() == 1) return bytes[0] != std::byte{0};
  const Number type = number_type(field.type);
  if (type.width == 0 || field.size != type.width || bytes.empty()) return bytes;
  if (type.width == 1 && field.array_length > 1 && !type.is_signed) return bytes;
  return type.is_signed ? numbers<std::int64_t>(bytes, type.width, load_signed)
                        : numbers<std::uint64_t>(bytes, type.width, load);
}

bool is_zero(const FieldValue& value) {
  return std::visit(
      [](const auto& v) {
        using Value = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<Value, std::span<const std::byte>>)
          return std::ranges::all_of(v, [](std::byte b) { return b == std::byte{0}; });
        else if constexpr (std::is_arithmetic_v<Value>)
          return v == Value{};
        else
          return std::ranges::all_of(v, [](auto number) { return number == 0; });
      },
      value);
}

const StateDescription* known_state(std::string_view name, std::uint32_t version) {
  static const StateDescription timer = make_state("timer", 2,
                                                   {{"cpu_ticks_offset", "int64", 8, 1, {}, {}},
                                                    {"unused", "unused_buffer", 8, 1, {}, {}},
                                                    {"cpu_clock_offset", "int64", 8, 1, {}, {}}});
  static const StateDescription global_state = make_state(
      "globalstate", 1, {{"size", "uint32", 4, 1, {}, {}}, {"runstate", "buffer", 100, 1, {}, {}}});
  if (name == timer.name && version == timer.version) return &timer;
  if (name == global_state.name && version == global_state.version) return &global_state;
  return nullptr;
}

}  // namespace godwit::wire
