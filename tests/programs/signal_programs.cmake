# Signals: programs about them, and others while a preloaded library profiles them (RT_SIGPROF, in rt_profiler.h, is a profiler in the program itself).
stacktide_runtime_program(rt_signal rt_signal.cpp "" RUNS MAXPROCS=2 ALSO MAXPROCS=1 MAXPROCS=8 POLICY=segmented,SEGMENT=2048,MAXPROCS=2)
stacktide_runtime_program(rt_signal_movable rt_signal.cpp MOVABLE RUNS STRESS=move,MAXPROCS=2 ALSO MAXPROCS=2 STRESS=move,MAXPROCS=8)
add_library(signal_profiler SHARED signal_profiler.cpp)
set_target_properties(signal_profiler PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${STACKTIDE_PROGRAM_DIR})
target_link_libraries(signal_profiler PRIVATE stacktide_warnings Threads::Threads)

# stacktide_profiled_run(TARGET ARGUMENTS ENVIRONMENT...): as stacktide_program_run, under the profiler.
function(stacktide_profiled_run target arguments)
  string(REPLACE ";" "," name "${ARGN}")
  list(TRANSFORM ARGN PREPEND STACKTIDE_)
  add_test(NAME runtime/${target}[profiled,${name}] COMMAND ${target} ${arguments})
  set_tests_properties(runtime/${target}[profiled,${name}] PROPERTIES LABELS e2e TIMEOUT 300
    ENVIRONMENT "${ARGN};LD_PRELOAD=$<TARGET_FILE:signal_profiler>")
endfunction()
stacktide_profiled_run(rt_library_O2 "" MAXPROCS=2)
stacktide_profiled_run(rt_channels_O2 "" MAXPROCS=8)
stacktide_profiled_run(rt_channels_movable_O2 "" STRESS=move MAXPROCS=8)
foreach(level IN LISTS STACKTIDE_LEVELS)
  stacktide_profiled_run(rt_signal_${level} actions MAXPROCS=2)
endforeach()

# Without a dynamic linker, where our definitions must come before libc's in the link itself.
stacktide_goroutine_program(rt_signal_static O2 rt_signal.cpp)
target_link_options(rt_signal_static_O2 PRIVATE -static)
stacktide_program_run(rt_signal_static_O2 e2e MAXPROCS=2)
add_test(NAME runtime/rt_signal_static_O2[actions] COMMAND rt_signal_static_O2 actions)
set_tests_properties(runtime/rt_signal_static_O2[actions] PROPERTIES LABELS e2e TIMEOUT 60)
