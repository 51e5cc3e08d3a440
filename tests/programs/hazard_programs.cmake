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
