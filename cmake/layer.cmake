# godwit_layer(NAME SOURCES ... DEPENDS ... LIBRARIES ...)
#
# A folder below src/ is a target is a namespace. The target can include its own headers as "NAME/x.h", those of
# the layers it DEPENDS on, and nothing else: each layer is published through an include root of its own
# (build/layers/NAME, which holds one link), so that an include that points upward does not compile.
function(godwit_layer name)
  cmake_parse_arguments(LAYER "" "" "SOURCES;DEPENDS;LIBRARIES" ${ARGN})
  set(root ${CMAKE_BINARY_DIR}/layers/${name})
  file(MAKE_DIRECTORY ${root})
  file(CREATE_LINK ${CMAKE_SOURCE_DIR}/src/${name} ${root}/${name} SYMBOLIC)

  add_library(godwit_${name} STATIC ${LAYER_SOURCES})
  target_include_directories(godwit_${name} PUBLIC ${CMAKE_SOURCE_DIR}/include ${root})
  target_link_libraries(godwit_${name} PRIVATE godwit_compiler PUBLIC ${LAYER_LIBRARIES})
  foreach(layer IN LISTS LAYER_DEPENDS)
    target_link_libraries(godwit_${name} PUBLIC godwit_${layer})
  endforeach()
  add_library(godwit::${name} ALIAS godwit_${name})
endfunction()

# godwit_test(NAME SOURCES ... DEPENDS layer... LABELS ...): one test program, registered test by test.
function(godwit_test name)
  cmake_parse_arguments(TEST "" "" "SOURCES;DEPENDS;LABELS;LIBRARIES" ${ARGN})
  if(NOT GODWIT_TESTS)
    return()
  endif()
  add_executable(${name} ${TEST_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_compile_definitions(${name} PRIVATE GODWIT_TEST_DATA="${CMAKE_SOURCE_DIR}/tests/data")
  target_link_libraries(${name} PRIVATE godwit_compiler GTest::gmock_main ${TEST_LIBRARIES})
  foreach(layer IN LISTS TEST_DEPENDS)
    target_link_libraries(${name} PRIVATE godwit_${layer})
  endforeach()
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "${TEST_LABELS}" TIMEOUT 300)
endfunction()
