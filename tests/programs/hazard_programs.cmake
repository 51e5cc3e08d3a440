# The programs for the hazards of checked, moving stacks (the table in tests/README.md), and what runs them.

# The calling convention, while every check moves the stack. One part is C.
stacktide_runtime_program(rt_abi rt_abi.cpp MOVABLE RUNS STRESS=move,MAXPROCS=2 ALSO MAXPROCS=2 STRESS=move,POLICY=contiguous,MAXPROCS=8
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
