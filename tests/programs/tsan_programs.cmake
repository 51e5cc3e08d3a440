# Scheduler and primitives under ThreadSanitizer, at 2 Ps, 8, and the numbers given. It follows no stack that moves, and its calls need more than 2 KiB.
function(stacktide_tsan_program name source)
  stacktide_test_program(${name}_tsan ${source})
  target_compile_options(${name}_tsan PRIVATE -O1)
  stacktide_goroutines(${name}_tsan)
  get_target_property(libraries ${name}_tsan LINK_LIBRARIES)
  list(TRANSFORM libraries REPLACE "^stacktide::runtime$" stacktide_runtime_tsan)
  set_target_properties(${name}_tsan PROPERTIES LINK_LIBRARIES "${libraries}")
  target_link_libraries(${name}_tsan PRIVATE stacktide_warnings)
  foreach(procs ${ARGN} 2 8)
    add_test(NAME runtime/${name}_tsan[MAXPROCS=${procs}] COMMAND ${name}_tsan)
    set_tests_properties(runtime/${name}_tsan[MAXPROCS=${procs}] PROPERTIES LABELS e2e TIMEOUT 300 ENVIRONMENT
      "STACKTIDE_MAXPROCS=${procs};STACKTIDE_MINSTACK=256K;STACKTIDE_SHRINK=off;TSAN_OPTIONS=halt_on_error=1 exitcode=66")
  endforeach()
  # Lanes of a recording have one writer each.
  set_property(TEST runtime/${name}_tsan[MAXPROCS=8] APPEND PROPERTY ENVIRONMENT STACKTIDE_TRACE=${name}_tsan.stt)
endfunction()

stacktide_tsan_program(rt_race rt_race.cpp)
set_tests_properties(runtime/rt_race_tsan[MAXPROCS=2] runtime/rt_race_tsan[MAXPROCS=8] PROPERTIES
                     PASS_REGULAR_EXPRESSION "data race.*rt_race.cpp")
foreach(name rt_channels rt_select rt_sync rt_model rt_monitor)
  stacktide_tsan_program(${name} ${name}.cpp)
endforeach()
# With one P there are other ways through the locks.
stacktide_tsan_program(rt_solo rt_solo.cpp 1)
target_link_libraries(rt_monitor_tsan PRIVATE rt_monitor_library)
