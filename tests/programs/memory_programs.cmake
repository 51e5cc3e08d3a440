# Programs about stacks as memory: what they cost, when they go, and the exact bytes at which they end.

# 100,000 parked goroutines, with a million's bytes each; the million itself takes 3 GB, so it is asked for (label slow).
option(STACKTIDE_SLOW "Also run tests that take gigabytes or minutes (label slow)" OFF)
stacktide_goroutine_program(rt_million O2 rt_million.cpp)
add_test(NAME runtime/rt_million[100000] COMMAND rt_million_O2 100000)
set_tests_properties(runtime/rt_million[100000] PROPERTIES TIMEOUT 300 ENVIRONMENT STACKTIDE_MAXPROCS=2 LABELS e2e)
if(STACKTIDE_SLOW)
  add_test(NAME runtime/rt_million[1000000] COMMAND rt_million_O2 1000000)
  set_tests_properties(runtime/rt_million[1000000] PROPERTIES TIMEOUT 900 ENVIRONMENT STACKTIDE_MAXPROCS=2 LABELS slow)
endif()

# Frames at the exact byte where the stack ends. They are assembly, of which nothing is known but their size: without that policy they would be linked.
stacktide_runtime_program(rt_frame_classes rt_frame_classes.cpp MOVABLE
                          RUNS POLICY=contiguous,MAXPROCS=1,SHRINK=off STRESS=move,POLICY=contiguous,MAXPROCS=1,SHRINK=off POLICY=segmented,MAXPROCS=1
                               POLICY=segmented,MINSTACK=512K,MAXPROCS=1)
foreach(level IN LISTS STACKTIDE_LEVELS STACKTIDE_MORE_LEVELS)
  target_include_directories(rt_frame_classes_${level} PRIVATE ${PROJECT_SOURCE_DIR}/runtime/src ${PROJECT_SOURCE_DIR}/runtime/abi)
endforeach()
stacktide_runtime_program(rt_check_budget rt_check_budget.cpp MOVABLE RUNS MAXPROCS=1)
foreach(level IN LISTS STACKTIDE_LEVELS STACKTIDE_MORE_LEVELS)
  target_include_directories(rt_check_budget_${level} PRIVATE ${PROJECT_SOURCE_DIR}/runtime/src ${PROJECT_SOURCE_DIR}/runtime/abi)
endforeach()

stacktide_runtime_program(rt_hot_splits rt_hot_splits.cpp "" RUNS POLICY=segmented,MAXPROCS=8)
foreach(level IN LISTS STACKTIDE_LEVELS STACKTIDE_MORE_LEVELS)
  target_include_directories(rt_hot_splits_${level} PRIVATE ${PROJECT_SOURCE_DIR}/runtime/src ${PROJECT_SOURCE_DIR}/runtime/abi)
endforeach()

# What e2e/freed_stacks_test.cpp runs.
foreach(level O0 O2)
  stacktide_goroutine_program(rt_stale ${level} rt_stale.cpp MOVABLE)
endforeach()
