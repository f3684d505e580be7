#include <algorithm>
#include <utility>

#include <godwit/tls.h>

namespace godwit {
namespace {

/// `*` any text, `?` any one byte. Linear in the text for each star: a pattern cannot make it explode.
bool matches_glob(std::string_view pattern, std::string_view text) {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t after_star = std::string_view::npos;
  std::size_t retry_from = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      after_star = ++p;
      retry_from = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (after_star != std::string_view::npos) {
      p = after_star;
      t = ++retry_from;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

bool matches(const AuthorizationRule& rule, std::string_view identity) {
  return rule.match == AuthorizationRule::Match::exact ? rule.pattern == identity
                                                       : matches_glob(rule.pattern, identity);
}

}  // namespace

Authorization Authorization::only(std::string identity) {
  return {{{.pattern = std::move(identity), .match = AuthorizationRule::Match::exact, .allow = true}}, false};
}

Authorization::Authorization(std::vector<AuthorizationRule> rules, bool otherwise_allow)
    : rules_(std::move(rules)), otherwise_allow_(otherwise_allow) {}

bool Authorization::allows(std::string_view identity) const {
  const auto rule =
      std::ranges::find_if(rules_, [&](const AuthorizationRule& each) { return matches(each, identity); });
  return rule == rules_.end() ? otherwise_allow_ : rule->allow;
}

}  // namespace godwit
