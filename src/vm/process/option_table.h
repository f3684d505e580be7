// Every option, with what it does and what -help says about it.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include <godwit/result.h>

#include "vm/process/draft.h"

namespace godwit::vm {

struct Option {
  std::string_view name;      ///< without dash
  std::string_view argument;  ///< its form in -help; empty: takes none
  std::string_view help;
  Result<> (*apply)(Draft& draft, const std::string& argument);
};

/// In the order of -help.
std::span<const Option> option_table();
const Option* find_option(std::string_view name);
std::string help_text();

}  // namespace godwit::vm
