#include "wire/description.h"

#include <boost/json.hpp>
#include <exception>
#include <iterator>

#include "base/fail.h"
#include "wire/json_text.h"
#include "wire/ram.h"

namespace godwit::wire {
namespace {

namespace bj = boost::json;

Result<StateDescription> read_state(const bj::object& object);

Result<std::uint64_t> read_number(const bj::object& object, std::string_view key, std::uint64_t limit) {
  const bj::value* value = object.if_contains(key);
  if (value == nullptr) return fail("description: expected a member '{}'", key);
  std::uint64_t number = limit;
  if (const auto* unsigned_value = value->if_uint64())
    number = *unsigned_value;
  else if (const auto* signed_value = value->if_int64(); signed_value != nullptr && *signed_value >= 0)
    number = static_cast<std::uint64_t>(*signed_value);
  if (number >= limit) return fail("description: member '{}': expected a number below {}", key, limit);
  return number;
}

Result<std::string> read_text(const bj::object& object, std::string_view key) {
  const bj::value* value = object.if_contains(key);
  const bj::string* text = value == nullptr ? nullptr : value->if_string();
  if (text == nullptr || text->size() > description_name_limit)
    return fail("description: expected a text of at most {} bytes as member '{}'", description_name_limit,
                key);
  return std::string(text->data(), text->size());
}

/// The objects of an array. A missing optional one is empty.
Result<std::vector<const bj::object*>> read_objects(const bj::object& object, std::string_view key,
                                                    bool optional) {
  std::vector<const bj::object*> objects;
  const bj::value* value = object.if_contains(key);
  if (value == nullptr && optional) return objects;
  const bj::array* array = value == nullptr ? nullptr : value->if_array();
  if (array == nullptr) return fail("description: expected an array as member '{}'", key);
  for (const bj::value& element : *array) {
    const bj::object* entry = element.if_object();
    if (entry == nullptr) return fail("description: expected objects in '{}'", key);
    objects.push_back(entry);
  }
  return objects;
}

constexpr std::uint64_t u32_limit = std::uint64_t{1} << 32;
constexpr std::uint64_t size_limit = std::uint64_t{1} << 48;

Result<FieldDescription> read_field(const bj::object& object) {
  FieldDescription field;
  GODWIT_ASSIGN(field.name, read_text(object, "name"));
  GODWIT_ASSIGN(field.type, read_text(object, "type"));
  GODWIT_ASSIGN(field.size, read_number(object, "size", size_limit));
  if (object.contains("array_len")) {
    GODWIT_ASSIGN(field.array_length, read_number(object, "array_len", u32_limit));
  }
  if (object.contains("index")) {
    GODWIT_ASSIGN(field.index, read_number(object, "index", u32_limit));
  }
  const bj::value* nested = object.if_contains("struct");
  if (nested != nullptr) {
    if (!nested->is_object())
      return fail("description: field '{}': expected an object as 'struct'", field.name);
    GODWIT_ASSIGN(field.inside.emplace_back(), read_state(nested->get_object()));
  } else if (object.contains("vmsd_name")) {
    GODWIT_ASSIGN(field.inside.emplace_back(), read_state(object));
  }
  return field;
}

Result<std::vector<FieldDescription>> read_fields(const bj::object& object) {
  GODWIT_ASSIGN(const auto objects, read_objects(object, "fields", false));
  std::vector<FieldDescription> fields;
  fields.reserve(objects.size());
  for (const bj::object* entry : objects) {
    GODWIT_ASSIGN(fields.emplace_back(), read_field(*entry));
  }
  return fields;
}

std::uint64_t head_length(const StateDescription& subsection) {
  return 1 + 1 + subsection.name.size() + 4;
}

/// Computes the length of a body whose parts are known.
Result<> add_up(StateDescription& state) {
  for (const FieldDescription& field : state.fields) {
    std::uint64_t length;
    if (__builtin_mul_overflow(field.size, field.array_length, &length) ||
        __builtin_add_overflow(state.length, length, &state.length))
      return fail("description: the fields of '{}' are too long", state.name);
  }
  for (const StateDescription& subsection : state.subsections)
    if (__builtin_add_overflow(state.length, head_length(subsection) + subsection.length, &state.length))
      return fail("description: the subsections of '{}' are too long", state.name);
  return {};
}

Result<StateDescription> read_state(const bj::object& object) {
  StateDescription state;
  GODWIT_ASSIGN(state.name, read_text(object, "vmsd_name"));
  GODWIT_ASSIGN(const std::uint64_t version, read_number(object, "version", u32_limit));
  state.version = static_cast<std::uint32_t>(version);
  GODWIT_ASSIGN(state.fields, read_fields(object));
  GODWIT_ASSIGN(const auto subsections, read_objects(object, "subsections", true));
  for (const bj::object* entry : subsections) {
    GODWIT_ASSIGN(state.subsections.emplace_back(), read_state(*entry));
  }
  GODWIT_TRY(add_up(state));
  return state;
}

Result<DeviceDescription> read_device(const bj::object& object) {
  DeviceDescription device;
  GODWIT_ASSIGN(device.name, read_text(object, "name"));
  GODWIT_ASSIGN(const std::uint64_t instance, read_number(object, "instance_id", u32_limit));
  device.instance = static_cast<std::uint32_t>(instance);
  if (object.contains("vmsd_name")) {
    GODWIT_ASSIGN(device.state, read_state(object));
  } else {
    GODWIT_ASSIGN(device.state.fields, read_fields(object));
    GODWIT_TRY(add_up(device.state));
  }
  return device;
}

Result<StreamDescription> read_stream(const bj::value& value) {
  const bj::object* object = value.if_object();
  if (object == nullptr) return fail("description: expected an object");
  StreamDescription stream;
  GODWIT_ASSIGN(stream.page_size, read_number(*object, "page_size", u32_limit));
  GODWIT_ASSIGN(const auto devices, read_objects(*object, "devices", false));
  for (const bj::object* entry : devices) {
    auto device = read_device(*entry);
    if (!device) {
      const bj::value* name = entry->if_contains("name");
      const bool named = name != nullptr && name->is_string();
      return std::unexpected(
          std::move(device).error().in(named ? std::string_view(name->get_string()) : "a device"));
    }
    stream.devices.push_back(*std::move(device));
  }
  return stream;
}

Result<bj::value> parse_json(std::string_view json) {
  bj::parse_options options;
  options.max_depth = description_depth_limit;
  try {
    bj::stream_parser parser({}, options);
    boost::system::error_code error;
    parser.write(json, error);
    if (!error) parser.finish(error);
    if (error) return fail("description: not the JSON that is expected: {}", error.message());
    return parser.release();
  } catch (const std::exception& error) {
    return fail("description: cannot be parsed: {}", error.what());
  }
}

class Splitter {
 public:
  explicit Splitter(std::span<const std::byte> body) : body_(body) {}

  /// Splits the `size` bytes at `offset`. An error means that the description does not fit these bytes.
  Result<> state(const StateDescription& description, std::uint64_t offset, std::uint64_t size,
                 const std::string& path) {
    if (description.length != size)
      return fail("expected a body of {} bytes by the description, got {}", description.length, size);
    for (const FieldDescription& entry : description.fields) {
      field(entry, offset, path);
      if (text_ > split_text_limit)
        return fail("expected paths of at most {} bytes together", split_text_limit);
      offset += entry.size * entry.array_length;
    }
    for (const StateDescription& subsection : description.subsections) {
      GODWIT_TRY(head(subsection, offset));
      offset += head_length(subsection);
      GODWIT_TRY(state(subsection, offset, subsection.length, subsection.name + "."));
      offset += subsection.length;
    }
    return {};
  }

  std::vector<NamedField> take() { return std::move(fields_); }

 private:
  void field(const FieldDescription& entry, std::uint64_t offset, const std::string& prefix) {
    std::string path = prefix + entry.name;
    if (entry.index) path += fmt::format("[{}]", *entry.index);
    if (entry.inside.size() == 1 && entry.size > 0 && elements(entry, offset, path)) return;
    text_ += path.size();
    fields_.push_back({std::move(path), entry.type, offset, entry.size, entry.array_length});
  }

  /// Splits a structure, or each of an array. False, and nothing done, if its description does not fit.
  bool elements(const FieldDescription& entry, std::uint64_t offset, const std::string& path) {
    const std::size_t before = fields_.size();
    for (std::uint64_t i = 0; i < entry.array_length; ++i) {
      const std::string name = entry.array_length > 1 ? fmt::format("{}[{}].", path, i) : path + ".";
      if (!state(entry.inside.front(), offset + i * entry.size, entry.size, name)) {
        fields_.resize(before);
        return false;
      }
    }
    return true;
  }

  Result<> head(const StateDescription& subsection, std::uint64_t offset) {
    const auto bytes = body_.subspan(offset, head_length(subsection));
    const std::string_view name(reinterpret_cast<const char*>(bytes.data()) + 2, subsection.name.size());
    if (bytes[0] != std::byte{0x05} || static_cast<std::size_t>(bytes[1]) != name.size() ||
        name != subsection.name)
      return fail("expected subsection '{}' at byte {:#x} of the body", subsection.name, offset);
    return {};
  }

  std::span<const std::byte> body_;
  std::vector<NamedField> fields_;
  std::size_t text_ = 0;  ///< bytes of the paths made so far, dropped ones included
};

}  // namespace

Result<StreamDescription> parse_description(std::string_view json) {
  if (json.size() > description_text_limit)
    return fail("description: expected at most {} bytes, got {}", description_text_limit, json.size());
  GODWIT_ASSIGN(const bj::value value, parse_json(json));
  return read_stream(value);
}

Result<std::vector<NamedField>> split_section(const StateDescription& state,
                                              std::span<const std::byte> body) {
  Splitter splitter(body);
  GODWIT_TRY(splitter.state(state, 0, body.size(), ""));
  return splitter.take();
}

DescriptionWriter::DescriptionWriter()
    : text_(fmt::format("{{\"page_size\": {}, \"devices\": [", page_size)) {}

void DescriptionWriter::add_device(std::string_view name, std::uint32_t instance, std::string_view state) {
  text_ += first_ ? "{\"name\": " : ", {\"name\": ";
  first_ = false;
  append_quoted(text_, name);
  fmt::format_to(std::back_inserter(text_), ", \"instance_id\": {}, {}}}", instance, state);
}

std::string DescriptionWriter::finish() && {
  text_ += "]}";
  return std::move(text_);
}

}  // namespace godwit::wire
