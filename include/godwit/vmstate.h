// What a FieldTable is made of, without its types: descriptions of device state that one interpreter saves,
// loads and describes. Users write tables with <godwit/field_table.h>; nothing here needs to be called
// directly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <godwit/device_section.h>
#include <godwit/result.h>
#include <godwit/stream.h>

namespace godwit::vmstate {

/// An integer of up to 64 bits, sign-extended if signed.
struct Number {
  std::uint64_t bits = 0;
  bool is_signed = false;
};

/// What a loaded value has to fulfil.
struct Check {
  std::string expectation;  ///< "0 to 7"
  std::function<bool(Number)> holds;
};

/// The elements of a field inside an object.
struct Elements {
  std::byte* first = nullptr;
  std::size_t count = 0;
};

/// How many elements of a field are on the wire, when another field says so.
struct Counted {
  std::function<std::uint64_t(const std::byte* object)> count;
  std::uint64_t maximum = 0;
};

/// Where a field's elements are.
struct Place {
  std::ptrdiff_t offset = 0;  ///< from the start of the object; if `locate` is unset
  std::size_t count = 1;      ///< elements there; if `locate` is unset
  std::size_t stride = 0;     ///< bytes in memory from one element to the next
  bool is_array = false;
  std::function<Elements(std::byte* object)> locate;
  std::function<void(std::byte* object, std::size_t count)> resize;  ///< only for std::vector
};

struct Table;

enum class Kind : std::uint8_t {
  scalar,
  bytes,      ///< raw
  unused,     ///< place.count zero bytes
  words,      ///< a bitmap
  structure,  ///< nested table, as "struct"
  inlined,    ///< nested table, its state inside the field: "vstruct"
  list,       ///< 1, element, 1, element, ..., 0
  custom,     ///< save and load
  validation  ///< nothing on the wire
};

/// What a scalar has to be compared with on load.
enum class Against : std::uint8_t { nothing, equal_to_current, at_most_current };

struct Field {
  std::string name;
  int ordinal = -1;  ///< counts the fields of one table that share a name; -1 when none does
  std::string type;  ///< its name in the description
  Kind kind = Kind::scalar;
  Place place;
  std::uint8_t width = 0;  ///< bytes of a scalar, in memory and on the wire
  bool is_signed = false;
  bool is_bool = false;
  Against against = Against::nothing;
  std::vector<Check> checks;
  Counted counted;          ///< count unset: all elements of `place`; of a list: only the maximum
  std::uint32_t since = 0;  ///< the first version of the table that has the field
  std::function<bool(const std::byte* object, std::uint32_t version)> when;
  std::shared_ptr<const Table> table;
  std::uint32_t table_version = 0;  ///< of `inlined`
  std::function<Result<>(std::byte* element, Output& out, std::string& description)> save;
  std::function<Result<>(std::byte* element, Input& in)> load;
};

struct Subsection {
  std::shared_ptr<const Table> table;
  std::function<bool(const std::byte* object)> needed;
};

struct Table {
  std::string name;
  std::uint32_t version = 1;
  std::uint32_t minimum_version = 1;
  std::vector<Field> fields;
  std::vector<Subsection> subsections;
  std::function<Result<>(std::byte* object)> pre_save;
  std::function<Result<>(std::byte* object)> pre_load;
  std::function<Result<>(std::byte* object, std::uint32_t version)> post_load;
};

/// Adds a field behind the others.
void append(Table& table, Field field);

/// Appends the state of the object at `object` to `out` and its description (as DeviceSection::save says) to
/// `description`.
Result<> save(const Table& table, std::byte* object, Output& out, std::string& description);
/// `version` is between the table's minimum_version and version.
Result<> load(const Table& table, std::byte* object, Input& in, std::uint32_t version);

/// Called around the table's own hooks.
struct SectionHooks {
  std::function<Result<>()> before_save;
  std::function<Result<>()> after_load;
  std::function<bool()> is_sent{};  ///< unset: always
};

std::unique_ptr<DeviceSection> make_section(std::string name, std::uint32_t instance,
                                            std::shared_ptr<const Table> table, std::byte* object,
                                            SectionHooks hooks);

}  // namespace godwit::vmstate
