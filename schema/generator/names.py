"""How names of the schema become names of C++."""

import re

_RESERVED = frozenset(
    """alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t char32_t class compl
    concept const consteval constexpr constinit const_cast continue co_await co_return co_yield decltype default delete do
    double dynamic_cast else enum explicit export extern false float for friend goto if inline int long mutable namespace
    new noexcept not not_eq nullptr operator or or_eq private protected public register reinterpret_cast requires return
    short signed sizeof static static_assert static_cast struct switch template this thread_local throw true try typedef
    typeid typename union unsigned using virtual void volatile wchar_t while xor xor_eq
    unix linux i386""".split()  # the last line: macros that compilers define outside the strict mode
)


def snake(name):
    """A member, enumerator or command: `pre-switchover` is `pre_switchover`, `unix` is `unix_`."""
    result = re.sub(r"[^a-z0-9_]", "_", name.lower())
    if result in _RESERVED:
        return result + "_"
    return "_" + result if result[0].isdigit() else result


def tag(name):
    """The tag type of a command or event: as written, but for what C++ cannot spell."""
    result = name.replace("-", "_").replace(".", "_")
    return result + "_" if result in _RESERVED else result


def camel(name):
    """The stem of a type's name: `migrate-set-parameters` is `MigrateSetParameters`, `COLO_EXIT` is `ColoExit`."""
    if name.isupper():
        name = name.lower()
    return "".join(word[:1].upper() + word[1:] for word in re.split(r"[-_.]", name) if word)
