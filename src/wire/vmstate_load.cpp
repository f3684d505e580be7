#include <algorithm>
#include <vector>

#include <godwit/field_table.h>

#include "base/fail.h"
#include "wire/record.h"
#include "wire/vmstate_internal.h"

namespace godwit::vmstate {
namespace {

/// Where the loader is, for error texts only: a chain over the stack.
struct Path {
  const Path* outer = nullptr;
  const Field* field = nullptr;
  const Table* subsection = nullptr;
  std::ptrdiff_t index = -1;
};

std::string path_text(const Path* path) {
  std::string name;
  for (; path != nullptr; path = path->outer) {
    if (path->subsection != nullptr) {
      return name.empty() ? fmt::format("subsection '{}'", path->subsection->name)
                          : fmt::format("subsection '{}', field {}", path->subsection->name, name);
    }
    std::string part = path->field->name;
    if (path->field->ordinal >= 0) part += fmt::format("[{}]", path->field->ordinal);
    if (path->index >= 0) part += fmt::format("[{}]", path->index);
    name = name.empty() ? part : part + "." + name;
  }
  return "field " + name;
}

/// An error of a lower level, with the field in front.
std::unexpected<Error> failed(Error error, const Path& path) {
  return std::unexpected(std::move(error).in(path_text(&path)));
}

Result<> load_state(const Table& table, std::byte* object, std::uint32_t version, Input& in,
                    const Path* path);

/// Puts the field in front, if there is one.
Result<> with_path(Result<> result, const Path* path) {
  if (result || path == nullptr) return result;
  return failed(std::move(result).error(), *path);
}

/// A hook's error, which knows neither field nor offset.
Result<> hook(Result<> result, const Input& in, const Path* path) {
  if (result) return result;
  Error error(fmt::format("{} (read up to offset {:#x})", result.error().what(), in.offset()));
  return with_path(fail(std::move(error)), path);
}

Result<std::uint64_t> read_bits(const Field& field, Input& in) {
  switch (field.width) {
    case 1: {
      GODWIT_ASSIGN(const std::uint8_t value, in.u8());
      return value;
    }
    case 2: {
      GODWIT_ASSIGN(const std::uint16_t value, in.be16());
      return value;
    }
    case 4: {
      GODWIT_ASSIGN(const std::uint32_t value, in.be32());
      return value;
    }
    default:
      return in.be64();
  }
}

Result<> load_number(const Field& field, std::byte* to, Input& in, const Path& path) {
  const std::uint64_t offset = in.offset();
  auto bits = read_bits(field, in);
  if (!bits) return failed(std::move(bits).error(), path);
  const Number current = load_number(field, to);
  std::byte encoded[8];
  store_number(field, encoded, *bits);
  const Number value = load_number(field, encoded);
  const auto mismatch = [&](std::string_view expectation) {
    return fail("{}: expected {} at offset {:#x}, got {}", path_text(&path), expectation, offset,
                to_string(value));
  };
  if (field.against == Against::equal_to_current && value.bits != current.bits)
    return mismatch(to_string(current));
  if (field.against == Against::at_most_current && !(in_order(number(0), value) && in_order(value, current)))
    return mismatch(fmt::format("0 to {}", to_string(current)));
  for (const Check& check : field.checks)
    if (!check.holds(value)) return mismatch(check.expectation);
  std::memcpy(to, encoded, field.width);
  return {};
}

Result<> load_element(const Field& field, std::byte* element, Input& in, const Path& path) {
  switch (field.kind) {
    case Kind::scalar:
      return load_number(field, element, in, path);
    case Kind::structure:
      return load_state(*field.table, element, field.table->version, in, &path);
    case Kind::inlined:
      return load_state(*field.table, element, field.table_version, in, &path);
    default:
      return with_path(field.load(element, in), &path);
  }
}

/// How many elements a vector grows by at a time: memory is taken as the bytes arrive.
std::size_t growth_step(const Field& field) {
  if (field.kind == Kind::bytes) return 64 * 1024;
  return field.kind == Kind::scalar || field.kind == Kind::words ? 4096 : 1;
}

Result<> load_range(const Field& field, Elements elements, std::size_t from, Input& in, const Path* outer) {
  if (field.kind == Kind::bytes) {
    const Path path{outer, &field};
    return with_path(in.read({elements.first + from, elements.count - from}), &path);
  }
  for (std::size_t i = from; i < elements.count; ++i) {
    const Path path{outer, &field, nullptr, field.place.is_array ? static_cast<std::ptrdiff_t>(i) : -1};
    std::byte* element = elements.first + i * field.place.stride;
    if (field.kind == Kind::words) {
      auto word = in.be64();
      if (!word) return failed(std::move(word).error(), path);
      std::memcpy(element, &*word, 8);
    } else {
      GODWIT_TRY(load_element(field, element, in, path));
    }
  }
  return {};
}

Result<> load_counted(const Field& field, std::byte* object, Input& in, const Path* outer) {
  const Path path{outer, &field};
  const std::uint64_t count = field.counted.count(object);
  const std::uint64_t room =
      field.place.resize ? field.counted.maximum
                         : std::min<std::uint64_t>(field.counted.maximum, elements_of(field, object).count);
  if (count > room)
    return fail("{}: expected at most {} elements at offset {:#x}, got a count of {}", path_text(&path), room,
                in.offset(), count);
  const auto wanted = static_cast<std::size_t>(count);
  if (!field.place.resize) return load_range(field, {elements_of(field, object).first, wanted}, 0, in, outer);
  field.place.resize(object, 0);
  for (std::size_t done = 0; done < wanted;) {
    const std::size_t next = done + std::min(wanted - done, growth_step(field));
    field.place.resize(object, next);
    GODWIT_TRY(load_range(field, {elements_of(field, object).first, next}, done, in, outer));
    done = next;
  }
  return {};
}

Result<> load_list(const Field& field, std::byte* object, Input& in, const Path* outer) {
  field.place.resize(object, 0);
  for (std::size_t count = 0;; ++count) {
    const Path path{outer, &field, nullptr, static_cast<std::ptrdiff_t>(count)};
    const std::uint64_t offset = in.offset();
    auto mark = in.u8();
    if (!mark) return failed(std::move(mark).error(), path);
    if (*mark == 0) return {};
    if (*mark != 1)
      return fail("{}: expected the mark 0 or 1 at offset {:#x}, got {}", path_text(&path), offset, *mark);
    if (count == field.counted.maximum)
      return fail("{}: expected at most {} elements, got one more at offset {:#x}", path_text(&path),
                  field.counted.maximum, offset);
    field.place.resize(object, count + 1);
    std::byte* element = elements_of(field, object).first + count * field.place.stride;
    GODWIT_TRY(load_state(*field.table, element, field.table->version, in, &path));
  }
}

Result<> load_field(const Field& field, std::byte* object, Input& in, const Path* outer) {
  const Path path{outer, &field};
  if (field.kind == Kind::unused) return with_path(in.discard(field.place.count), &path);
  if (field.kind == Kind::validation) return hook(field.load(object, in), in, outer);
  if (field.kind == Kind::list) return load_list(field, object, in, outer);
  if (field.counted.count) return load_counted(field, object, in, outer);
  return load_range(field, elements_of(field, object), 0, in, outer);
}

/// The length of the subsection's head (mark, length, name) if one that belongs to `parent` comes next, else
/// 0. Looks at no byte more than it must: what follows may be the last bytes before the peer waits for an
/// answer.
Result<std::size_t> peek_subsection(Input& in, std::string_view parent) {
  GODWIT_ASSIGN(const bool end, in.at_end());
  if (end) return std::size_t{0};
  GODWIT_ASSIGN(const auto mark, in.need(1));
  if (mark[0] != static_cast<std::byte>(wire::RecordType::subsection)) return std::size_t{0};
  for (std::size_t seen = 0; seen < parent.size(); ++seen) {
    const auto head = in.need(seen + 3);
    if (!head) return std::size_t{0};
    if (static_cast<std::size_t>((*head)[1]) < parent.size() + 1) return std::size_t{0};
    if (static_cast<char>((*head)[seen + 2]) != parent[seen]) return std::size_t{0};
  }
  GODWIT_ASSIGN(const auto head, in.need(2));
  return 2 + static_cast<std::size_t>(head[1]);
}

Result<> load_subsection(const Subsection& subsection, std::byte* object, Input& in, const Path* outer) {
  const Table& table = *subsection.table;
  const Path path{outer, nullptr, &table};
  const std::uint64_t offset = in.offset();
  auto version = in.be32();
  if (!version) return failed(std::move(version).error(), path);
  if (*version < table.minimum_version || *version > table.version)
    return fail("{}: expected version {} to {} at offset {:#x}, got {}", path_text(&path),
                table.minimum_version, table.version, offset, *version);
  return load_state(table, object, *version, in, &path);
}

Result<> load_subsections(const Table& table, std::byte* object, Input& in, const Path* path) {
  std::vector<bool> seen(table.subsections.size());
  for (;;) {
    const std::uint64_t offset = in.offset();
    GODWIT_ASSIGN(const std::size_t head_length, peek_subsection(in, table.name));
    if (head_length == 0) return {};
    GODWIT_ASSIGN(const auto head, in.need(head_length));
    const std::string name(reinterpret_cast<const char*>(head.data()) + 2, head_length - 2);
    const auto known =
        std::ranges::find(table.subsections, name, [](const Subsection& s) { return s.table->name; });
    if (known == table.subsections.end())
      return with_path(fail("expected a subsection of '{}' that is known here at offset {:#x}, got '{}'",
                            table.name, offset, name),
                       path);
    const auto index = static_cast<std::size_t>(known - table.subsections.begin());
    if (seen[index])
      return with_path(fail("expected subsection '{}' once, it comes again at offset {:#x}", name, offset),
                       path);
    seen[index] = true;
    in.skip(head_length);
    GODWIT_TRY(load_subsection(*known, object, in, path));
  }
}

Result<> load_state(const Table& table, std::byte* object, std::uint32_t version, Input& in,
                    const Path* path) {
  if (table.pre_load) GODWIT_TRY(hook(table.pre_load(object), in, path));
  for (const Field& field : table.fields)
    if (exists(field, object, version)) GODWIT_TRY(load_field(field, object, in, path));
  GODWIT_TRY(load_subsections(table, object, in, path));
  if (table.post_load) GODWIT_TRY(hook(table.post_load(object, version), in, path));
  return {};
}

}  // namespace

Result<> load(const Table& table, std::byte* object, Input& in, std::uint32_t version) {
  return load_state(table, object, version, in, nullptr);
}

}  // namespace godwit::vmstate
