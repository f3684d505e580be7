// The value of a migration parameter, from text.
#include <boost/json.hpp>
#include <charconv>
#include <limits>

#include <godwit/schema/json.h>

#include "base/fail.h"
#include "vm/process/hmp.h"
#include "vm/process/option_values.h"

namespace godwit::vm {

namespace {

enum class Kind : std::uint8_t { size, mebibytes, byte, word, flag, text };

struct Parameter {
  std::string_view name;
  Kind kind;
};

/// How the text of each is read. multifd-compression and zero-page-detection are text here: their values are
/// names.
constexpr Parameter parameters[] = {
    {"announce-initial", Kind::size},
    {"announce-max", Kind::size},
    {"announce-rounds", Kind::size},
    {"announce-step", Kind::size},
    {"compress-level", Kind::byte},
    {"compress-threads", Kind::byte},
    {"compress-wait-thread", Kind::flag},
    {"decompress-threads", Kind::byte},
    {"throttle-trigger-threshold", Kind::byte},
    {"cpu-throttle-initial", Kind::byte},
    {"cpu-throttle-increment", Kind::byte},
    {"cpu-throttle-tailslow", Kind::flag},
    {"max-cpu-throttle", Kind::byte},
    {"tls-creds", Kind::text},
    {"tls-hostname", Kind::text},
    {"tls-authz", Kind::text},
    {"max-bandwidth", Kind::mebibytes},
    {"downtime-limit", Kind::size},
    {"x-checkpoint-delay", Kind::word},
    {"block-incremental", Kind::flag},
    {"multifd-channels", Kind::byte},
    {"multifd-compression", Kind::text},
    {"multifd-zlib-level", Kind::byte},
    {"multifd-zstd-level", Kind::byte},
    {"xbzrle-cache-size", Kind::size},
    {"max-postcopy-bandwidth", Kind::size},
    {"x-vcpu-dirty-limit-period", Kind::size},
    {"vcpu-dirty-limit", Kind::size},
    {"zero-page-detection", Kind::text},
    {"direct-io", Kind::flag},
};

constexpr std::uint64_t mebibyte = std::uint64_t{1} << 20;

bool is_too_large(std::string_view text) {
  std::uint64_t value = 0;
  return std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc::result_out_of_range;
}

Result<std::uint64_t> size_of(std::string_view name, const std::string& text) {
  if (auto size = parse_size(name, text)) return size;
  if (is_too_large(text)) return fail("Value '{}' is out of range for parameter '{}'", text, name);
  return fail(
      "Parameter '{}' expects a non-negative number below 2^64\n"
      "Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\nand exabytes, "
      "respectively.",
      name);
}

/// A number that has to fit into `type`; one below zero is as one that is too large.
Result<std::uint64_t> number_of(std::string_view name, const std::string& text, std::uint64_t most,
                                std::string_view type) {
  const bool negative = text.starts_with('-');
  const auto number =
      parse_number(name, negative ? std::string_view(text).substr(1) : std::string_view(text));
  if (!number) return fail("Parameter '{}' expects uint64", name);
  if ((negative && *number != 0) || *number > most) return fail("Parameter '{}' expects {}", name, type);
  return *number;
}

Result<boost::json::value> read(const Parameter& parameter, const std::string& text) {
  switch (parameter.kind) {
    case Kind::size: {
      GODWIT_ASSIGN(const std::uint64_t size, size_of(parameter.name, text));
      return size;
    }
    case Kind::mebibytes: {
      const auto size = parse_size(parameter.name, text, mebibyte);
      if (!size) return fail("Invalid size {}", text);
      return *size;
    }
    case Kind::byte: {
      GODWIT_ASSIGN(const std::uint64_t number,
                    number_of(parameter.name, text, std::numeric_limits<std::uint8_t>::max(), "uint8_t"));
      return number;
    }
    case Kind::word: {
      GODWIT_ASSIGN(const std::uint64_t number,
                    number_of(parameter.name, text, std::numeric_limits<std::uint32_t>::max(), "uint32_t"));
      return number;
    }
    case Kind::flag: {
      GODWIT_ASSIGN(const bool flag, parse_flag(parameter.name, text));
      return flag;
    }
    case Kind::text:
      break;
  }
  return boost::json::value(boost::json::string(text));
}

}  // namespace

Result<schema::MigrateSetParameters> human_parameter(const std::string& name, const std::string& text) {
  if (name == "block-bitmap-mapping")
    return fail("The block-bitmap-mapping parameter can only be set through QMP");
  for (const Parameter& parameter : parameters) {
    if (parameter.name != name) continue;
    boost::json::object json;
    GODWIT_ASSIGN(json[name], read(parameter, text));
    return schema::from_json<schema::MigrateSetParameters>(json);
  }
  return fail("invalid parameter value: {}", name);
}

}  // namespace godwit::vm
