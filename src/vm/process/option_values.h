// The values of an option: "name,key=value,flag,noflag", with ",," for a comma in a value.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <godwit/guest.h>
#include <godwit/result.h>

namespace godwit::vm {

/// Bytes. Decimal with an optional fraction, or hexadecimal without one; an optional suffix b, k, M, G, T, P,
/// E in either case. Without a suffix the number counts `unit` bytes. `name` is the parameter's name in the
/// error.
Result<std::uint64_t> parse_size(std::string_view name, std::string_view text, std::uint64_t unit = 1);

/// A decimal or 0x number without sign.
Result<std::uint64_t> parse_number(std::string_view name, std::string_view text);

/// on, yes, true, y against off, no, false, n.
Result<bool> parse_flag(std::string_view name, std::string_view text);

/// XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX
Result<Uuid> parse_uuid(std::string_view text);
std::string to_text(const Uuid& uuid);

/// A letter, then letters, digits, '-', '.', '_': what an object may be called.
bool is_identifier(std::string_view text);

/// Every take removes what it returns; of repeated keys the last one counts. What is left at the end was not
/// understood.
class OptionValues {
 public:
  /// `implied_key` is the key of a first element that has no '=' (empty: there is none). Empty elements, such
  /// as behind a trailing comma, are skipped.
  static OptionValues parse(std::string_view text, std::string_view implied_key = {});

  bool has(std::string_view key) const;
  std::optional<std::string> take(std::string_view key);
  Result<std::string> require(std::string_view key);
  /// Also the old spellings `key` and `nokey` without a value.
  Result<std::optional<bool>> take_flag(std::string_view key);
  Result<std::optional<std::uint64_t>> take_size(std::string_view key, std::uint64_t unit = 1);
  Result<std::optional<std::uint64_t>> take_number(std::string_view key);
  /// Keys that are accepted and change nothing here.
  void ignore(std::initializer_list<std::string_view> keys);
  /// Puts a value in for a key that is not there yet.
  void set_default(std::string key, std::string value);

  /// Fails if anything is left: `Invalid parameter 'x'`.
  Result<> finish() const;
  /// The keys that are left, in their order.
  std::vector<std::string> remaining() const;

 private:
  struct Entry {
    std::string key;
    std::string value;
    bool bare = false;  // written without '='
  };
  std::vector<Entry> entries_;
};

}  // namespace godwit::vm
