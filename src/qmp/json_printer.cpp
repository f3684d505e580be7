#include "qmp/json_printer.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/string.hpp>
#include <charconv>
#include <cmath>

#include "qmp/utf8.h"

namespace godwit::qmp {
namespace {

constexpr std::uint32_t replacement_character = 0xFFFD;

bool is_plain(char byte) {
  return byte >= 0x20 && byte < 0x7F && byte != '"' && byte != '\\';
}

void put_unit(std::string& out, std::uint32_t unit) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) out += digits[(unit >> shift) & 0xF];
}

void put_escaped(std::string& out, std::uint32_t point) {
  switch (point) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\b':
      out += "\\b";
      return;
    case '\f':
      out += "\\f";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      break;
  }
  if (point >= 0x10000) {
    put_unit(out, 0xD800 + ((point - 0x10000) >> 10));
    put_unit(out, 0xDC00 + ((point - 0x10000) & 0x3FF));
  } else {
    put_unit(out, point);
  }
}

template <typename Number, typename... Format>
void put_number(std::string& out, Number number, Format... format) {
  char text[64];
  const auto [end, error] = std::to_chars(text, text + sizeof text, number, format...);
  out.append(text, end);
}

void put_double(std::string& out, double number) {
  if (!std::isfinite(number))
    out += number < 0 ? "-1e999" : "1e999";
  else
    put_number(out, number, std::chars_format::general, 17);
}

class Printer {
 public:
  Printer(std::string& out, JsonLayout layout) : out_(out), pretty_(layout == JsonLayout::pretty) {}

  void value(const boost::json::value& value) {
    switch (value.kind()) {
      case boost::json::kind::null:
        out_ += "null";
        break;
      case boost::json::kind::bool_:
        out_ += value.get_bool() ? "true" : "false";
        break;
      case boost::json::kind::int64:
        put_number(out_, value.get_int64());
        break;
      case boost::json::kind::uint64:
        put_number(out_, value.get_uint64());
        break;
      case boost::json::kind::double_:
        put_double(out_, value.get_double());
        break;
      case boost::json::kind::string:
        print_json_string(out_, value.get_string());
        break;
      case boost::json::kind::array:
        array(value.get_array());
        break;
      case boost::json::kind::object:
        object(value.get_object());
        break;
    }
  }

 private:
  void array(const boost::json::array& elements) {
    out_ += '[';
    ++depth_;
    for (const boost::json::value* element = elements.begin(); element != elements.end(); ++element) {
      separate(element == elements.begin());
      value(*element);
    }
    --depth_;
    new_line();
    out_ += ']';
  }

  void object(const boost::json::object& members) {
    out_ += '{';
    ++depth_;
    for (auto member = members.begin(); member != members.end(); ++member) {
      separate(member == members.begin());
      print_json_string(out_, member->key());
      out_ += ": ";
      value(member->value());
    }
    --depth_;
    new_line();
    out_ += '}';
  }

  void separate(bool first) {
    if (!first) out_ += pretty_ ? "," : ", ";
    new_line();
  }

  void new_line() {
    if (!pretty_) return;
    out_ += "\r\n";
    out_.append(4 * depth_, ' ');
  }

  std::string& out_;
  bool pretty_;
  std::size_t depth_ = 0;
};

}  // namespace

void print_json_string(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    std::size_t run = 0;
    while (run < text.size() && is_plain(text[run])) ++run;
    out += text.substr(0, run);
    text.remove_prefix(run);
    if (text.empty()) break;
    const CodePoint point = decode_utf8(text);
    put_escaped(out, point.valid ? point.value : replacement_character);
    text.remove_prefix(point.length);
  }
  out += '"';
}

void print_json(std::string& out, const boost::json::value& value, JsonLayout layout) {
  Printer(out, layout).value(value);
}

std::string to_json_text(const boost::json::value& value, JsonLayout layout) {
  std::string text;
  print_json(text, value, layout);
  return text;
}

}  // namespace godwit::qmp
