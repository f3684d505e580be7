// Expressions: sums of (bitwise terms of (products)), as the monitor has always read them.
#include <cctype>
#include <charconv>

#include "base/fail.h"
#include "vm/process/hmp_arguments.h"

namespace godwit::vm {

namespace {

constexpr int deepest = 100;  // parentheses in parentheses

class Expression {
 public:
  explicit Expression(std::string_view& text) : text_(text) {}

  Result<std::uint64_t> sum() {
    return chain("+-", &Expression::bits, [](char operation, std::uint64_t a, std::uint64_t b) -> Number {
      return operation == '+' ? a + b : a - b;
    });
  }

 private:
  using Number = Result<std::uint64_t>;

  Number bits() {
    return chain("&|^", &Expression::product, [](char operation, std::uint64_t a, std::uint64_t b) -> Number {
      return operation == '&' ? a & b : operation == '|' ? a | b : a ^ b;
    });
  }

  Number product() {
    return chain("*/%", &Expression::term, [](char operation, std::uint64_t a, std::uint64_t b) -> Number {
      if (operation == '*') return a * b;
      if (b == 0) return fail("division by zero");
      return operation == '/' ? a / b : a % b;
    });
  }

  /// Operands that `next` reads, with any of `operators` between them, from left to right.
  template <typename Combine>
  Number chain(std::string_view operators, Number (Expression::*next)(), Combine combine) {
    GODWIT_ASSIGN(std::uint64_t value, (this->*next)());
    while (!text_.empty() && operators.find(text_.front()) != std::string_view::npos) {
      const char operation = take();
      GODWIT_ASSIGN(const std::uint64_t other, (this->*next)());
      GODWIT_ASSIGN(value, combine(operation, value, other));
    }
    return value;
  }

  Number term() {
    if (text_.empty()) return fail("unexpected end of expression");
    if (++depth_ > deepest) return fail("the expression is nested too deep");
    const char first = text_.front();
    auto value = first == '('    ? parentheses()
                 : first == '\'' ? character()
                 : first == '$'  ? no_register()
                                 : unary();
    --depth_;
    return value;
  }

  Number parentheses() {
    take();
    GODWIT_ASSIGN(const std::uint64_t value, sum());
    if (text_.empty() || text_.front() != ')') return fail("')' expected");
    take();
    return value;
  }

  Number character() {
    if (text_.size() < 2) return fail("character constant expected");
    const auto value = static_cast<unsigned char>(text_[1]);
    if (text_.size() < 3 || text_[2] != '\'') return fail("missing terminating ' character");
    text_.remove_prefix(2);
    take();
    return value;
  }

  Number no_register() { return fail("unknown register"); }

  Number unary() {
    const char first = text_.front();
    if (first != '+' && first != '-' && first != '~') return number();
    take();
    GODWIT_ASSIGN(const std::uint64_t value, term());
    return first == '+' ? value : first == '-' ? 0 - value : ~value;
  }

  Number number() {
    if (!std::isdigit(static_cast<unsigned char>(text_.front())))
      return fail("invalid char '{}' in expression", text_.front());
    int base = 10;
    if (text_.size() > 2 && text_[0] == '0' && (text_[1] | 0x20) == 'x' &&
        std::isxdigit(static_cast<unsigned char>(text_[2]))) {
      base = 16;
      text_.remove_prefix(2);
    } else if (text_.front() == '0') {
      base = 8;
    }
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), value, base);
    if (error == std::errc::result_out_of_range) return fail("number too large");
    text_.remove_prefix(static_cast<std::size_t>(end - text_.data()));
    skip_blanks(text_);
    return value;
  }

  char take() {
    const char first = text_.front();
    text_.remove_prefix(1);
    skip_blanks(text_);
    return first;
  }

  std::string_view& text_;
  int depth_ = 0;
};

}  // namespace

void skip_blanks(std::string_view& text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
}

Result<std::uint64_t> take_expression(std::string_view& text) {
  skip_blanks(text);
  return Expression(text).sum();
}

}  // namespace godwit::vm
