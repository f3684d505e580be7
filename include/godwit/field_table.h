// Field tables: the state of a device declared once; saving, loading, bounds checks and the JSON description
// follow (wire-format section 2).
//
//   struct Timer { std::int64_t ticks = 0; std::int64_t clock = 0; };
//   const auto table = FieldTable<Timer>("timer", {.version = 2, .minimum_version = 2})
//                          .field("cpu_ticks_offset", &Timer::ticks)
//                          .unused(8)
//                          .field("cpu_clock_offset", &Timer::clock);
//   sections.push_back(make_section("timer", 0, table, timer));
//
// Where a field is: a pointer to a member, or a function that takes T& and returns a reference or a
// std::span. Its type decides the encoding: bool, integers and enumerations of 8 to 64 bits; std::array, C
// arrays, std::vector and spans of them are arrays. A vector has its present length on the wire unless
// counted_by() names the field that says how many there are.
//
// A load fails with a text that names field, offset and expectation, not the section: who delegates to the
// section adds that. What a load does not reach (absent subsections, fields of newer versions) keeps its
// value: set defaults in pre_load(). A table can be copied cheaply; once used it is not changed. Tables may
// be shared between threads.
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <initializer_list>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

#include <godwit/vmstate.h>
#include <godwit/vmstate_place.h>

namespace godwit {

struct TableVersions {
  std::uint32_t version = 1;
  std::optional<std::uint32_t> minimum_version{};  ///< unset: only `version` is understood
};

using SectionHooks = vmstate::SectionHooks;

namespace vmstate {

Field scalar_field(std::string name, Place place, std::size_t width, bool is_signed, bool is_bool);

template <typename E>
Field scalar_field(std::string name, TypedPlace<E> place) {
  static_assert(ScalarType<E>, "a field is a bool, an integer, an enumeration, or an array of these");
  if constexpr (std::is_enum_v<E>)
    return scalar_field(std::move(name), std::move(place), sizeof(E),
                        std::is_signed_v<std::underlying_type_t<E>>, false);
  else
    return scalar_field(std::move(name), std::move(place), sizeof(E), std::is_signed_v<E>,
                        std::same_as<E, bool>);
}

Field typed_field(std::string name, std::string type, Kind kind, Place place);

inline void apply(Field& field, Check check) {
  field.checks.push_back(std::move(check));
}
inline void apply(Field& field, Counted counted) {
  field.counted = std::move(counted);
}

/// Makes hooks that return nothing return success.
template <typename F, typename... Arguments>
Result<> call(const F& function, Arguments&&... arguments) {
  if constexpr (std::is_void_v<std::invoke_result_t<const F&, Arguments...>>) {
    function(std::forward<Arguments>(arguments)...);
    return {};
  } else {
    return function(std::forward<Arguments>(arguments)...);
  }
}

template <std::integral I>
constexpr Number number(I value) {
  return {static_cast<std::uint64_t>(value), std::is_signed_v<I>};
}
bool in_order(Number a, Number b);  ///< a <= b, by value
std::string to_string(Number number);
Check range_check(Number low, Number high);
Check choice_check(std::vector<Number> choices);

}  // namespace vmstate

/// Accepts low to high, both included.
template <std::integral L, std::integral H>
vmstate::Check in_range(L low, H high) {
  return vmstate::range_check(vmstate::number(low), vmstate::number(high));
}

/// Accepts the listed values.
template <std::integral I>
vmstate::Check one_of(std::initializer_list<I> values) {
  std::vector<vmstate::Number> numbers;
  for (const I value : values) numbers.push_back(vmstate::number(value));
  return vmstate::choice_check(std::move(numbers));
}

/// Accepts what `holds(value)` is true for. `expectation` is how the error goes on: "a power of two".
template <std::integral I>
vmstate::Check satisfying(std::string expectation, std::function<bool(I)> holds) {
  return {std::move(expectation),
          [holds = std::move(holds)](vmstate::Number n) { return holds(static_cast<I>(n.bits)); }};
}

/// The number of elements is in another field, which comes before and is an integer. More than `maximum` is
/// an error before anything is allocated.
template <typename T, typename M>
vmstate::Counted counted_by(M T::* member, std::uint64_t maximum) {
  return {[member](const std::byte* object) {
            return static_cast<std::uint64_t>(reinterpret_cast<const T*>(object)->*member);
          },
          maximum};
}
/// The number of elements is what `count(object)` says.
template <typename T>
vmstate::Counted counted_by(std::function<std::uint64_t(const T&)> count, std::uint64_t maximum) {
  return {[count = std::move(count)](const std::byte* object) {
            return count(*reinterpret_cast<const T*>(object));
          },
          maximum};
}

/// An encoding of one's own for elements of type E.
template <typename E>
struct Codec {
  std::string type;  ///< how the description calls it: "virtio"
  std::function<Result<>(const E&, Output&)> save;
  std::function<Result<>(E&, Input&)> load;
};

template <typename T>
class FieldTable {
 public:
  /// `name` is the "vmsd_name". A subsection's name is its parent's, a slash, and its own.
  explicit FieldTable(std::string name, TableVersions versions = {})
      : table_(std::make_shared<vmstate::Table>()) {
    table_->name = std::move(name);
    table_->version = versions.version;
    table_->minimum_version = versions.minimum_version.value_or(versions.version);
  }

  /// A scalar or an array of scalars. Options: in_range(), one_of(), satisfying(), counted_by().
  template <typename Where, typename... Options>
  FieldTable& field(std::string name, Where where, Options... options) {
    return add(vmstate::scalar_field(std::move(name), vmstate::place_of<T>(where)), std::move(options)...);
  }

  /// A scalar that has to arrive with the value it already has: "int32 equal" and so on.
  template <typename Where>
  FieldTable& equal(std::string name, Where where) {
    auto field = vmstate::scalar_field(std::move(name), vmstate::place_of<T>(where));
    field.against = vmstate::Against::equal_to_current;
    field.type += " equal";
    // As a 7.2 source writes it: it has no name of its own for 64 unsigned bits here.
    if (field.width == 8) field.type = "int64 equal";
    return add(std::move(field));
  }

  /// An int32_t that has to arrive between 0 and the value it already has: "int32 le".
  template <typename Where>
  FieldTable& at_most_current(std::string name, Where where) {
    auto field = vmstate::scalar_field(std::move(name), vmstate::place_of<T>(where));
    field.against = vmstate::Against::at_most_current;
    field.type += " le";
    return add(std::move(field));
  }

  /// A 64-bit expiry time in nanoseconds of the timer's clock; all ones (-1) when it is not armed.
  template <typename Where>
  FieldTable& timer(std::string name, Where where) {
    return add_64_bits("timer", std::move(name), where);
  }

  /// A 64-bit floating point number, as its bits: "CPU_Double_U".
  template <typename Where>
  FieldTable& cpu_double(std::string name, Where where) {
    return add_64_bits("CPU_Double_U", std::move(name), where);
  }

  /// Raw bytes (uint8_t, std::byte or char). Options: counted_by().
  template <typename Where, typename... Options>
  FieldTable& buffer(std::string name, Where where, Options... options) {
    auto place = vmstate::place_of<T>(where);
    static_assert(vmstate::ByteType<typename decltype(place)::Element>);
    return add(vmstate::typed_field(std::move(name), "buffer", vmstate::Kind::bytes, std::move(place)),
               std::move(options)...);
  }

  /// Zero bytes, ignored on load.
  FieldTable& unused(std::size_t bytes) {
    vmstate::Place place;
    place.count = bytes;
    return add(vmstate::typed_field("unused", "unused_buffer", vmstate::Kind::unused, std::move(place)));
  }

  /// Bit i is bit i % 64 of word i / 64; the words are uint64_t and as many as there are. Options:
  /// counted_by(), in words.
  template <typename Where, typename... Options>
  FieldTable& bitmap(std::string name, Where where, Options... options) {
    auto place = vmstate::place_of<T>(where);
    static_assert(std::same_as<typename decltype(place)::Element, std::uint64_t>);
    return add(vmstate::typed_field(std::move(name), "bitmap", vmstate::Kind::words, std::move(place)),
               std::move(options)...);
  }

  /// A member (or array of members) with a table of its own. Options: counted_by().
  template <typename Where, typename N, typename... Options>
  FieldTable& structure(std::string name, Where where, const FieldTable<N>& table, Options... options) {
    auto place = vmstate::place_of<T>(where);
    static_assert(std::same_as<typename decltype(place)::Element, N>);
    auto field = vmstate::typed_field(std::move(name), "struct", vmstate::Kind::structure, std::move(place));
    field.table = table.erased();
    return add(std::move(field), std::move(options)...);
  }

  /// The same with the version of the nested table fixed: "vstruct".
  template <typename Where, typename N, typename... Options>
  FieldTable& versioned_structure(std::string name, Where where, const FieldTable<N>& table,
                                  std::uint32_t version, Options... options) {
    auto place = vmstate::place_of<T>(where);
    static_assert(std::same_as<typename decltype(place)::Element, N>);
    auto field = vmstate::typed_field(std::move(name), "vstruct", vmstate::Kind::inlined, std::move(place));
    field.table = table.erased();
    field.table_version = version;
    return add(std::move(field), std::move(options)...);
  }

  /// State in a form that only exists while it is saved and loaded: "tmp". `take` makes it from T, `put`
  /// gives it back.
  template <typename Temporary>
  FieldTable& temporary(const FieldTable<Temporary>& table,
                        std::type_identity_t<std::function<Temporary(const T&)>> take,
                        std::type_identity_t<std::function<Result<>(T&, const Temporary&)>> put) {
    auto field = vmstate::typed_field("tmp", "tmp", vmstate::Kind::custom, whole_object());
    field.save = [erased = table.erased(), take](std::byte* object, Output& out,
                                                 std::string& description) -> Result<> {
      Temporary value = take(*reinterpret_cast<T*>(object));
      return vmstate::save(*erased, reinterpret_cast<std::byte*>(&value), out, description);
    };
    field.load = [erased = table.erased(), put](std::byte* object, Input& in) -> Result<> {
      Temporary value{};
      GODWIT_TRY(vmstate::load(*erased, reinterpret_cast<std::byte*>(&value), in, erased->version));
      return put(*reinterpret_cast<T*>(object), value);
    };
    return add(std::move(field));
  }

  /// A std::vector of structures of any length up to `maximum`, each with a mark before it. `type`: "qtailq"
  /// or "qlist".
  template <typename Where, typename N>
  FieldTable& list(std::string name, Where where, const FieldTable<N>& table, std::uint64_t maximum,
                   std::string type = "qtailq") {
    auto place = vmstate::place_of<T>(where);
    static_assert(std::same_as<typename decltype(place)::Element, N>);
    auto field =
        vmstate::typed_field(std::move(name), std::move(type), vmstate::Kind::list, std::move(place));
    field.table = table.erased();
    field.counted.maximum = maximum;
    return add(std::move(field));
  }

  /// A member (or array of members) with an encoding of its own. Options: counted_by().
  template <typename Where, typename E, typename... Options>
  FieldTable& custom(std::string name, Where where, Codec<E> codec, Options... options) {
    auto place = vmstate::place_of<T>(where);
    static_assert(std::same_as<typename decltype(place)::Element, E>);
    return add(custom_field(std::move(name), std::move(place), std::move(codec)), std::move(options)...);
  }

  /// An encoding of one's own that sees the whole object.
  FieldTable& custom(std::string name, Codec<T> codec) {
    return add(custom_field(std::move(name), whole_object(), std::move(codec)));
  }

  /// A condition over what was loaded so far, at this place of the order. Nothing on the wire.
  FieldTable& validate(std::function<Result<>(const T&)> holds) {
    auto field = vmstate::typed_field("", "", vmstate::Kind::validation, whole_object());
    field.load = [holds = std::move(holds)](std::byte* object, Input&) {
      return holds(*reinterpret_cast<T*>(object));
    };
    return add(std::move(field));
  }

  /// The field before exists only from this version of the table on.
  FieldTable& since(std::uint32_t version) {
    own().fields.back().since = version;
    return *this;
  }

  /// The field before exists only while the predicate is true of what was loaded before it (and was there
  /// before).
  FieldTable& when(std::function<bool(const T&)> predicate) {
    own().fields.back().when = [predicate = std::move(predicate)](const std::byte* object, std::uint32_t) {
      return predicate(*reinterpret_cast<const T*>(object));
    };
    return *this;
  }

  /// Sent behind the fields, in the order of declaration, each when it is needed.
  FieldTable& subsection(const FieldTable& table, std::function<bool(const T&)> needed) {
    own().subsections.push_back({table.erased(), [needed = std::move(needed)](const std::byte* object) {
                                   return needed(*reinterpret_cast<const T*>(object));
                                 }});
    return *this;
  }

  /// `hook(T&)`, before the first field is saved. Returns nothing or a Result<>.
  template <std::invocable<T&> F>
  FieldTable& pre_save(F hook) {
    own().pre_save = [hook](std::byte* object) { return vmstate::call(hook, *reinterpret_cast<T*>(object)); };
    return *this;
  }

  /// `hook(T&)`, before the first field is loaded. Returns nothing or a Result<>.
  template <std::invocable<T&> F>
  FieldTable& pre_load(F hook) {
    own().pre_load = [hook](std::byte* object) { return vmstate::call(hook, *reinterpret_cast<T*>(object)); };
    return *this;
  }

  /// `hook(T&)` or `hook(T&, version)`, after the last field and subsection. Returns nothing or a Result<>.
  template <typename F>
  FieldTable& post_load(F hook) {
    own().post_load = [hook](std::byte* object, std::uint32_t version) {
      T& target = *reinterpret_cast<T*>(object);
      if constexpr (std::invocable<F, T&, std::uint32_t>) {
        return vmstate::call(hook, target, version);
      } else {
        (void)version;
        return vmstate::call(hook, target);
      }
    };
    return *this;
  }

  Result<> save(T& object, Output& out, std::string& description) const {
    return vmstate::save(*table_, reinterpret_cast<std::byte*>(&object), out, description);
  }
  Result<> load(T& object, Input& in, std::uint32_t version) const {
    return vmstate::load(*table_, reinterpret_cast<std::byte*>(&object), in, version);
  }
  Result<> load(T& object, Input& in) const { return load(object, in, table_->version); }

  std::shared_ptr<const vmstate::Table> erased() const { return table_; }

 private:
  /// The table to change: a copy if somebody else has it.
  vmstate::Table& own() {
    if (table_.use_count() > 1) table_ = std::make_shared<vmstate::Table>(*table_);
    return *table_;
  }

  template <typename... Options>
  FieldTable& add(vmstate::Field field, Options... options) {
    (vmstate::apply(field, std::move(options)), ...);
    vmstate::append(own(), std::move(field));
    return *this;
  }

  template <typename Where>
  FieldTable& add_64_bits(std::string type, std::string name, Where where) {
    auto place = vmstate::place_of<T>(where);
    using E = typename decltype(place)::Element;
    static_assert(sizeof(E) == 8 && std::is_arithmetic_v<E>);
    auto field = vmstate::scalar_field(std::move(name), std::move(place), 8, std::is_signed_v<E>, false);
    field.type = std::move(type);
    return add(std::move(field));
  }

  static vmstate::Place whole_object() {
    vmstate::Place place;
    place.stride = sizeof(T);
    return place;
  }

  template <typename E>
  static vmstate::Field custom_field(std::string name, vmstate::Place place, Codec<E> codec) {
    auto field =
        vmstate::typed_field(std::move(name), std::move(codec.type), vmstate::Kind::custom, std::move(place));
    field.save = [encode = std::move(codec.save)](std::byte* element, Output& out, std::string&) {
      return encode(*reinterpret_cast<const E*>(element), out);
    };
    field.load = [decode = std::move(codec.load)](std::byte* element, Input& in) {
      return decode(*reinterpret_cast<E*>(element), in);
    };
    return field;
  }

  std::shared_ptr<vmstate::Table> table_;
};

/// A section of the stream made of `table` and the state `object`, which outlives it.
template <typename T>
std::unique_ptr<DeviceSection> make_section(std::string name, std::uint32_t instance,
                                            const FieldTable<T>& table, T& object, SectionHooks hooks = {}) {
  return vmstate::make_section(std::move(name), instance, table.erased(),
                               reinterpret_cast<std::byte*>(&object), std::move(hooks));
}

}  // namespace godwit
