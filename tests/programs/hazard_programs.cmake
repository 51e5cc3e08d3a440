# The programs for the hazards of checked, moving stacks (the table in tests/README.md), and what runs them.

# The calling convention, while every check moves the stack. One part is C. Without AVX-512 the C library's memcpy, with which stacks are copied, clears
# the upper halves of vector registers; else it leaves those alone that hold arguments.
stacktide_runtime_program(rt_abi rt_abi.cpp MOVABLE RUNS STRESS=move,MAXPROCS=2 STRESS=move,GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX512VL ALSO MAXPROCS=2 STRESS=move,POLICY=contiguous,MAXPROCS=8
                                                                                   POLICY=segmented,SEGMENT=2048,MAXPROCS=2)
foreach(level IN LISTS STACKTIDE_LEVELS STACKTIDE_MORE_LEVELS)
  target_sources(rt_abi_${level} PRIVATE rt_abi_nested.c)
  target_link_libraries(rt_abi_${level} PRIVATE atomic)
endforeach()

# Addresses that escape: what tests/e2e/runtime_escape_test.cpp runs.
foreach(level O0 O2)
  stacktide_goroutine_program(rt_escape_movable ${level} rt_escape.cpp MOVABLE)
  stacktide_goroutine_program(rt_escape_pinned ${level} rt_escape.cpp)
endforeach()

# Unchecked code with large frames, its object file after and before the goroutine code's on the linker's command line.
foreach(level IN LISTS STACKTIDE_LEVELS STACKTIDE_MORE_LEVELS)
  set(label matrix)
  if(level IN_LIST STACKTIDE_LEVELS)
    set(label e2e)
  endif()
  string(REPLACE "_nopie" "" optimisation ${level})
  add_library(rt_hazard_unchecked_${level} OBJECT rt_hazard_unchecked.cpp)
  target_compile_options(rt_hazard_unchecked_${level} PRIVATE -${optimisation} -fno-pie)
  if(NOT level MATCHES "_nopie$")
    target_compile_options(rt_hazard_unchecked_${level} PRIVATE -fpie)
  endif()
  target_link_libraries(rt_hazard_unchecked_${level} PRIVATE stacktide_warnings)
  foreach(order last first)
    stacktide_goroutine_program(rt_hazard_${order} ${level} rt_hazard.cpp)
    if(order STREQUAL first)
      # Before the program's own object files, by the compiler's driver.
      target_link_options(rt_hazard_${order}_${level} PRIVATE $<TARGET_OBJECTS:rt_hazard_unchecked_${level}>)
      set_property(TARGET rt_hazard_${order}_${level} APPEND PROPERTY LINK_DEPENDS $<TARGET_OBJECTS:rt_hazard_unchecked_${level}>)
      add_dependencies(rt_hazard_${order}_${level} rt_hazard_unchecked_${level})
    else()
      target_link_libraries(rt_hazard_${order}_${level} PRIVATE $<TARGET_OBJECTS:rt_hazard_unchecked_${level}>)
    endif()
    stacktide_program_run(rt_hazard_${order}_${level} ${label} MAXPROCS=2)
    if(STACKTIDE_MATRIX)
      stacktide_program_run(rt_hazard_${order}_${level} matrix MAXPROCS=8)
    endif()
  endforeach()
endforeach()

# Generated loops over arrays on the stack. By default few; with -DSTACKTIDE_MATRIX=ON 600 at each level, and once without -fno-ivopts, which must
# be wrong.
set(STACKTIDE_LOOPS_SEED 1 CACHE STRING "The seed of the generated loops")
if(STACKTIDE_MATRIX)
  set(loop_files 6)
  set(loop_count 600)
  set(loop_label matrix)
else()
  set(loop_files 2)
  set(loop_count 40)
  set(loop_label e2e)
endif()
find_package(Python3 REQUIRED COMPONENTS Interpreter)
set(loops_folder ${CMAKE_CURRENT_BINARY_DIR}/loops)
file(MAKE_DIRECTORY ${loops_folder})
set(loops_generator ${PROJECT_SOURCE_DIR}/tests/fuzz/loops.py)
math(EXPR last_loop_file "${loop_files} - 1")
set(loops_includes)
foreach(i RANGE ${last_loop_file})
  list(APPEND loops_includes ${loops_folder}/loops_${i}.inc)
endforeach()
add_custom_command(OUTPUT ${loops_includes} DEPENDS ${loops_generator} VERBATIM
  COMMAND ${Python3_EXECUTABLE} ${loops_generator} ${STACKTIDE_LOOPS_SEED} ${loop_count} ${loop_files} ${loops_folder})
add_custom_target(loops_sources DEPENDS ${loops_includes})

# stacktide_loops(NAME CHECKED OPTIONS...): an object library with all generated functions.
function(stacktide_loops name checked)
  foreach(i RANGE ${last_loop_file})
    add_library(${name}_${i} OBJECT rt_loops_part.cpp)
    add_dependencies(${name}_${i} loops_sources)
    target_compile_definitions(${name}_${i} PRIVATE LOOPS_CHECKED=${checked} LOOPS_FILE="${loops_folder}/loops_${i}.inc")
    if(checked)
      stacktide_goroutines(${name}_${i} MOVABLE)
    endif()
    # What their expressions look like is not of interest. Last, so that these count. Nobody debugs them, but without debug information nothing moves.
    target_compile_options(${name}_${i} PRIVATE ${ARGN} -w)
    if(NOT checked OR "-fivopts" IN_LIST ARGN)
      target_compile_options(${name}_${i} PRIVATE -g0)
    endif()
    set_source_files_properties(rt_loops_part.cpp PROPERTIES OBJECT_DEPENDS "${loops_includes}")
  endforeach()
endfunction()

# stacktide_loops_program(NAME LEVEL OPTIONS...): compares functions compiled with OPTIONS with the ordinary ones.
function(stacktide_loops_program name level)
  stacktide_goroutine_program(${name} ${level} rt_loops.cpp MOVABLE)
  stacktide_loops(${name}_part_${level} 1 -${level} ${ARGN})
  foreach(i RANGE ${last_loop_file})
    target_link_libraries(${name}_${level} PRIVATE $<TARGET_OBJECTS:${name}_part_${level}_${i}> $<TARGET_OBJECTS:loops_reference_${i}>)
  endforeach()
endfunction()

stacktide_loops(loops_reference 0 -O1)
foreach(level O1 O2 O3 Os)
  stacktide_loops_program(rt_loops ${level})
  add_test(NAME runtime/rt_loops_${level} COMMAND rt_loops_${level})
  set_tests_properties(runtime/rt_loops_${level} PROPERTIES LABELS ${loop_label} TIMEOUT 300 ENVIRONMENT "STACKTIDE_STRESS=move;STACKTIDE_MAXPROCS=1")
endforeach()
if(STACKTIDE_MATRIX)
  # The proof that this can fail: some functions are wrong, or the program is ended because one wrote to a stack that was left.
  # (stacktide-link refuses -fivopts where debug information tells it of the options; these parts have none.)
  stacktide_loops_program(rt_loops_ivopts O1 -fivopts)
  add_test(NAME runtime/rt_loops_ivopts_O1 COMMAND sh -c "$<TARGET_FILE:rt_loops_ivopts_O1>; echo \"exit $?\"")
  set_tests_properties(runtime/rt_loops_ivopts_O1 PROPERTIES LABELS matrix TIMEOUT 300 ENVIRONMENT "STACKTIDE_STRESS=move;STACKTIDE_POLICY=contiguous"
    PASS_REGULAR_EXPRESSION "exit [1-9]")
endif()

# The long run: not part of ./test.sh --all. An hour: cmake -DSTACKTIDE_SOAK=3600, build, ctest -L soak; or tests/soak.py by itself.
set(STACKTIDE_SOAK 0 CACHE STRING "Seconds for which the soak test runs the runtime's programs at random settings; 0: there is no such test")
if(STACKTIDE_SOAK GREATER 0)
  add_test(NAME soak COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tests/soak.py ${CMAKE_BINARY_DIR} --seconds ${STACKTIDE_SOAK})
  math(EXPR soak_limit "${STACKTIDE_SOAK} + 900")
  set_tests_properties(soak PROPERTIES LABELS soak TIMEOUT ${soak_limit} RUN_SERIAL ON)
endif()
