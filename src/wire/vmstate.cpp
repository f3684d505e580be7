#include <algorithm>
#include <cassert>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <utility>

#include <godwit/field_table.h>
#include <godwit/vmstate.h>

namespace godwit::vmstate {
namespace {

class TableSection final : public DeviceSection {
 public:
  TableSection(Identity identity, std::shared_ptr<const Table> table, std::byte* object, SectionHooks hooks)
      : identity_(std::move(identity)), table_(std::move(table)), object_(object), hooks_(std::move(hooks)) {}

  const Identity& identity() const override { return identity_; }

  bool is_sent() override { return !hooks_.is_sent || hooks_.is_sent(); }
  bool is_optional() const override { return hooks_.is_sent != nullptr; }

  Result<> save(Output& out, std::string& description) override {
    if (hooks_.before_save) GODWIT_TRY(hooks_.before_save());
    return vmstate::save(*table_, object_, out, description);
  }

  Result<> load(Input& in, std::uint32_t version) override {
    GODWIT_TRY(vmstate::load(*table_, object_, in, version));
    if (hooks_.after_load) GODWIT_TRY(hooks_.after_load());
    return {};
  }

 private:
  Identity identity_;
  std::shared_ptr<const Table> table_;
  std::byte* object_;
  SectionHooks hooks_;
};

}  // namespace

Field scalar_field(std::string name, Place place, std::size_t width, bool is_signed, bool is_bool) {
  std::string type = is_bool ? "bool" : fmt::format("{}int{}", is_signed ? "" : "u", 8 * width);
  Field field = typed_field(std::move(name), std::move(type), Kind::scalar, std::move(place));
  field.width = static_cast<std::uint8_t>(width);
  field.is_signed = is_signed;
  field.is_bool = is_bool;
  return field;
}

Field typed_field(std::string name, std::string type, Kind kind, Place place) {
  Field field;
  field.name = std::move(name);
  field.type = std::move(type);
  field.kind = kind;
  field.place = std::move(place);
  return field;
}

void append(Table& table, Field field) {
  int same = 0;
  for (Field& other : table.fields)
    if (other.name == field.name && other.kind != Kind::validation) other.ordinal = same++;
  if (same > 0) field.ordinal = same;
  table.fields.push_back(std::move(field));
}

bool in_order(Number a, Number b) {
  const bool a_negative = a.is_signed && static_cast<std::int64_t>(a.bits) < 0;
  const bool b_negative = b.is_signed && static_cast<std::int64_t>(b.bits) < 0;
  if (a_negative != b_negative) return a_negative;
  return a.bits <= b.bits;
}

std::string to_string(Number number) {
  return number.is_signed ? fmt::format("{}", static_cast<std::int64_t>(number.bits))
                          : fmt::format("{}", number.bits);
}

Check range_check(Number low, Number high) {
  return {fmt::format("{} to {}", to_string(low), to_string(high)),
          [low, high](Number value) { return in_order(low, value) && in_order(value, high); }};
}

Check choice_check(std::vector<Number> choices) {
  std::vector<std::string> texts;
  for (const Number choice : choices) texts.push_back(to_string(choice));
  const auto equal = [](Number a, Number b) { return in_order(a, b) && in_order(b, a); };
  return {fmt::format("one of {}", fmt::join(texts, ", ")),
          [choices = std::move(choices), equal](Number value) {
            return std::ranges::any_of(choices, [&](Number choice) { return equal(choice, value); });
          }};
}

std::unique_ptr<DeviceSection> make_section(std::string name, std::uint32_t instance,
                                            std::shared_ptr<const Table> table, std::byte* object,
                                            SectionHooks hooks) {
  assert(!name.empty() && name.size() <= 255);
  DeviceSection::Identity identity{std::move(name), instance, table->version, table->minimum_version};
  return std::make_unique<TableSection>(std::move(identity), std::move(table), object, std::move(hooks));
}

}  // namespace godwit::vmstate
