#include <algorithm>
#include <cassert>
#include <iterator>

#include "base/fail.h"
#include "wire/json_text.h"
#include "wire/record.h"
#include "wire/vmstate_internal.h"

namespace godwit::vmstate {
namespace {

Result<> save_state(const Table& table, std::byte* object, std::uint32_t version, Output& out,
                    std::string& description);

/// True if every element of an array of such structures has the same layout, so that one description does for
/// all.
bool has_constant_layout(const Table& table) {
  if (!table.subsections.empty()) return false;
  return std::ranges::all_of(table.fields, [](const Field& field) {
    if (field.when) return false;
    return field.kind != Kind::structure || has_constant_layout(*field.table);
  });
}

bool has_constant_layout(const Field& field) {
  if (field.when) return false;
  return field.kind != Kind::structure || has_constant_layout(*field.table);
}

void save_number(const Field& field, const std::byte* from, Output& out) {
  const std::uint64_t bits = load_number(field, from).bits;
  switch (field.width) {
    case 1:
      out.u8(static_cast<std::uint8_t>(bits));
      break;
    case 2:
      out.be16(static_cast<std::uint16_t>(bits));
      break;
    case 4:
      out.be32(static_cast<std::uint32_t>(bits));
      break;
    default:
      out.be64(bits);
  }
}

std::string full_name(const Field& field) {
  return field.ordinal < 0 ? field.name : fmt::format("{}[{}]", field.name, field.ordinal);
}

/// The part of a description that tells one element of an array from a field that stands for all.
struct Position {
  std::size_t array_length = 0;  ///< 0: not said
  std::ptrdiff_t index = -1;     ///< -1: not said
};

void describe(const Field& field, Position position, std::string_view state, std::size_t size,
              std::string& description) {
  if (description.back() != '[') description += ", ";
  description += "{\"name\": ";
  wire::append_quoted(description, full_name(field));
  if (position.array_length != 0)
    fmt::format_to(std::back_inserter(description), ", \"array_len\": {}", position.array_length);
  if (position.index >= 0) fmt::format_to(std::back_inserter(description), ", \"index\": {}", position.index);
  description += ", \"type\": ";
  wire::append_quoted(description, field.type);
  if (field.kind == Kind::structure) {
    fmt::format_to(std::back_inserter(description), ", \"struct\": {{{}}}", state);
  } else if (!state.empty()) {
    description += ", ";
    description += state;
  }
  fmt::format_to(std::back_inserter(description), ", \"size\": {}}}", size);
}

Result<> save_element(const Field& field, std::byte* element, Output& out, std::string& state) {
  switch (field.kind) {
    case Kind::scalar:
      save_number(field, element, out);
      return {};
    case Kind::structure:
      return save_state(*field.table, element, field.table->version, out, state);
    case Kind::inlined:
      return save_state(*field.table, element, field.table_version, out, state);
    case Kind::custom:
      return field.save(element, out, state);
    default:
      return {};
  }
}

Result<> save_list(const Field& field, Elements elements, Output& out, std::string& state) {
  for (std::size_t i = 0; i < elements.count; ++i) {
    out.u8(1);
    if (!state.empty()) state += ", ";
    GODWIT_TRY(
        save_state(*field.table, elements.first + i * field.place.stride, field.table->version, out, state));
  }
  out.u8(0);
  return {};
}

/// Fields that are one thing in the description however many elements they have.
Result<> save_whole(const Field& field, Elements elements, Output& out, std::string& description) {
  const std::size_t start = out.size();
  std::string state;
  switch (field.kind) {
    case Kind::bytes:
      out.bytes({elements.first, elements.count});
      break;
    case Kind::unused:
      out.zeros(elements.count);
      break;
    case Kind::words:
      for (std::size_t i = 0; i < elements.count; ++i) {
        std::uint64_t word;
        std::memcpy(&word, elements.first + 8 * i, 8);
        out.be64(word);
      }
      break;
    default:
      GODWIT_TRY(save_list(field, elements, out, state));
  }
  describe(field, {}, state, out.size() - start, description);
  return {};
}

Result<> save_elements(const Field& field, Elements elements, Output& out, std::string& description) {
  const bool one_for_all = has_constant_layout(field);
  std::string state;
  for (std::size_t i = 0; i < elements.count; ++i) {
    const std::size_t start = out.size();
    state.clear();
    auto saved = save_element(field, elements.first + i * field.place.stride, out, state);
    if (!saved) {
      std::string name = full_name(field);
      if (field.place.is_array) name += fmt::format("[{}]", i);
      return std::unexpected(std::move(saved).error().in("field " + name));
    }
    if (one_for_all && i > 0) continue;
    Position position;
    if (field.place.is_array && one_for_all && elements.count > 1) position.array_length = elements.count;
    if (field.place.is_array && !one_for_all) position.index = static_cast<std::ptrdiff_t>(i);
    describe(field, position, state, out.size() - start, description);
  }
  return {};
}

Result<> save_field(const Field& field, std::byte* object, Output& out, std::string& description) {
  Elements elements = elements_of(field, object);
  if (field.counted.count) {
    const std::uint64_t count = field.counted.count(object);
    if (count > field.counted.maximum || count > elements.count)
      return fail("field {}: expected at most {} elements, there are {}", full_name(field),
                  std::min<std::uint64_t>(field.counted.maximum, elements.count), count);
    elements.count = static_cast<std::size_t>(count);
  }
  switch (field.kind) {
    case Kind::validation:
      return {};
    case Kind::bytes:
    case Kind::unused:
    case Kind::words:
    case Kind::list:
      return save_whole(field, elements, out, description);
    default:
      return save_elements(field, elements, out, description);
  }
}

Result<> save_subsections(const Table& table, std::byte* object, Output& out, std::string& description) {
  bool any = false;
  for (const Subsection& subsection : table.subsections) {
    if (!subsection.needed(object)) continue;
    description += any ? ", {" : ", \"subsections\": [{";
    any = true;
    out.u8(static_cast<std::uint8_t>(wire::RecordType::subsection));
    out.counted_text(subsection.table->name);
    out.be32(subsection.table->version);
    GODWIT_TRY(save_state(*subsection.table, object, subsection.table->version, out, description));
    description += "}";
  }
  if (any) description += "]";
  return {};
}

Result<> save_state(const Table& table, std::byte* object, std::uint32_t version, Output& out,
                    std::string& description) {
  if (table.pre_save) GODWIT_TRY(table.pre_save(object));
  description += "\"vmsd_name\": ";
  wire::append_quoted(description, table.name);
  fmt::format_to(std::back_inserter(description), ", \"version\": {}, \"fields\": [", version);
  for (const Field& field : table.fields)
    if (exists(field, object, version)) GODWIT_TRY(save_field(field, object, out, description));
  description += "]";
  return save_subsections(table, object, out, description);
}

}  // namespace

Result<> save(const Table& table, std::byte* object, Output& out, std::string& description) {
  return save_state(table, object, table.version, out, description);
}

}  // namespace godwit::vmstate
