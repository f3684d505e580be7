# What every target is compiled with. Users of the library get none of it.
add_library(godwit_compiler INTERFACE)

find_program(GODWIT_CCACHE ccache)
if(GODWIT_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${GODWIT_CCACHE})
endif()

if(GODWIT_DEVELOPER)
  target_compile_options(godwit_compiler INTERFACE -Wall -Wextra -Wconversion -Wshadow -Wnon-virtual-dtor -Werror)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # g++ 12 reports these inside the standard library's own std::expected and std::variant.
    target_compile_options(godwit_compiler INTERFACE -Wno-maybe-uninitialized -Wno-restrict)
  endif()
endif()

if(GODWIT_SANITIZE)
  target_compile_options(godwit_compiler INTERFACE -fsanitize=${GODWIT_SANITIZE} -fno-omit-frame-pointer
                                                   -fno-sanitize-recover=all)
  target_link_options(godwit_compiler INTERFACE -fsanitize=${GODWIT_SANITIZE})
endif()

if(GODWIT_FUZZ)
  target_compile_options(godwit_compiler INTERFACE -fsanitize=fuzzer-no-link)
endif()
