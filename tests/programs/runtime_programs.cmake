# The rt_* programs: goroutine code that checks itself, built at several levels and run under several settings of the runtime.
#
# By default -O0 and -O2 (label e2e). With -DSTACKTIDE_MATRIX=ON also -O1, -O3, without PIE, and under more settings (label matrix).
option(STACKTIDE_MATRIX "Build and run the runtime's test programs at every level and setting" OFF)

set(STACKTIDE_LEVELS O0 O2)
set(STACKTIDE_MORE_LEVELS)
if(STACKTIDE_MATRIX)
  set(STACKTIDE_MORE_LEVELS O1 O3 O0_nopie O1_nopie O2_nopie O3_nopie)
endif()

# stacktide_level(TARGET LEVEL): compiles it at this level.
function(stacktide_level target level)
  string(REPLACE "_nopie" "" optimisation ${level})
  target_compile_options(${target} PRIVATE -${optimisation})
  if(level MATCHES "_nopie$")
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(${target} PRIVATE -fno-pie)
    target_link_options(${target} PRIVATE -no-pie)
  endif()
endfunction()

# stacktide_goroutine_program(NAME LEVEL SOURCE [MOVABLE]): NAME_LEVEL; a level is O0 to O3, with _nopie for a fixed address.
function(stacktide_goroutine_program name level source)
  set(target ${name}_${level})
  stacktide_test_program(${target} ${source})
  stacktide_level(${target} ${level})
  stacktide_goroutines(${target} ${ARGN})
  target_link_libraries(${target} PRIVATE stacktide_warnings)
endfunction()

# stacktide_program_run(TARGET LABEL ENVIRONMENT...): runs it; each NAME=VALUE is the runtime's setting STACKTIDE_NAME,
# RT_NAME=VALUE the program's and GLIBC_NAME=VALUE the C library's.
function(stacktide_program_run target label)
  string(REPLACE ";" "," name "${ARGN}")
  if(NOT name)
    set(name defaults)
  endif()
  list(TRANSFORM ARGN PREPEND STACKTIDE_)
  list(TRANSFORM ARGN REPLACE "^STACKTIDE_(RT|GLIBC)_" "\\1_")
  add_test(NAME runtime/${target}[${name}] COMMAND ${target})
  set_tests_properties(runtime/${target}[${name}] PROPERTIES LABELS ${label} TIMEOUT 300 ENVIRONMENT "${ARGN}")
endfunction()

# Builds a program at every level. Each further argument is one run's settings, joined by commas ("" for none); those after ALSO
# are for the matrix only.
function(stacktide_runtime_program name source movable)
  cmake_parse_arguments(PARSE_ARGV 3 arg "" "" "RUNS;ALSO")
  # The same lists serve several programs, so some runs are named twice.
  list(REMOVE_ITEM arg_ALSO ${arg_RUNS})
  foreach(level IN LISTS STACKTIDE_LEVELS STACKTIDE_MORE_LEVELS)
    stacktide_goroutine_program(${name} ${level} ${source} ${movable})
    set(label matrix)
    if(level IN_LIST STACKTIDE_LEVELS)
      set(label e2e)
    endif()
    foreach(run IN LISTS arg_RUNS)
      string(REPLACE "," ";" settings "${run}")
      stacktide_program_run(${name}_${level} ${label} ${settings})
    endforeach()
    if(STACKTIDE_MATRIX)
      foreach(run IN LISTS arg_ALSO)
        string(REPLACE "," ";" settings "${run}")
        stacktide_program_run(${name}_${level} matrix ${settings})
      endforeach()
    endif()
  endforeach()
endfunction()

set(pinned_runs MAXPROCS=2 POLICY=segmented,SEGMENT=2048,MAXPROCS=8)
set(pinned_more MAXPROCS=1 MAXPROCS=8 POLICY=segmented,MAXPROCS=1 POLICY=segmented,MAXPROCS=2 POLICY=segmented,SEGMENT=2048,MAXPROCS=1
                POLICY=auto,SEGMENT=2048,MAXPROCS=2 MAXPROCS=2,RT_SIGPROF=1000 POLICY=segmented,SEGMENT=2048,MAXPROCS=8,RT_SIGPROF=1000)
set(movable_runs MAXPROCS=2 STRESS=move,MAXPROCS=2)
set(movable_more MAXPROCS=1 MAXPROCS=8 POLICY=contiguous,MAXPROCS=8 POLICY=segmented,SEGMENT=2048,MAXPROCS=2 STRESS=move,MAXPROCS=1
                 STRESS=move,POLICY=contiguous,MAXPROCS=8 STRESS=move,FREED=unmap,MAXPROCS=2 MAXPROCS=8,RT_SIGPROF=1000
                 STRESS=move,MAXPROCS=2,RT_SIGPROF=1000)

stacktide_runtime_program(rt_plain rt_plain.cpp "" RUNS ${pinned_runs} ALSO ${pinned_more})
# The same in a MOVABLE target: functions that hold what the heap points back at are linked all the same, the others are copied.
stacktide_runtime_program(rt_plain_movable rt_plain.cpp MOVABLE RUNS ${movable_runs} ADJUST=scan,MAXPROCS=2 STRESS=move,ADJUST=scan,MAXPROCS=2
                          ALSO MAXPROCS=1 MAXPROCS=8 POLICY=segmented,SEGMENT=2048,MAXPROCS=2 STRESS=move,MAXPROCS=1 STRESS=move,SEGMENT=2048,MAXPROCS=8
                               STRESS=move,FREED=unmap,MAXPROCS=2 MAXPROCS=8,RT_SIGPROF=1000)
stacktide_runtime_program(rt_throw_plain rt_throw.cpp "" RUNS ${pinned_runs} ALSO ${pinned_more})
stacktide_runtime_program(rt_calls_plain rt_calls.cpp "" RUNS ${pinned_runs} ALSO ${pinned_more})
stacktide_runtime_program(rt_throw_movable rt_throw.cpp MOVABLE RUNS ${movable_runs} POLICY=segmented,MAXPROCS=2,TRACE=rt_throw.stt STRESS=move,MAXPROCS=2,RT_SIGPROF=1000 ALSO ${movable_more})
stacktide_runtime_program(rt_calls_movable rt_calls.cpp MOVABLE RUNS ${movable_runs} ALSO ${movable_more})
stacktide_runtime_program(rt_channels rt_channels.cpp "" RUNS MAXPROCS=1 MAXPROCS=2 MAXPROCS=8 ALSO POLICY=segmented,SEGMENT=2048,MAXPROCS=2
                                                                                                  MAXPROCS=8,RT_SIGPROF=1000)
stacktide_runtime_program(rt_channels_movable rt_channels.cpp MOVABLE RUNS MAXPROCS=2 STRESS=move,MAXPROCS=8 MAXPROCS=8,TRACE=rt_channels.stt ALSO MAXPROCS=1 MAXPROCS=8 STRESS=move,MAXPROCS=1
                                                                  STRESS=move,MAXPROCS=8,RT_SIGPROF=1000)
foreach(name rt_select rt_sync)
  stacktide_runtime_program(${name} ${name}.cpp "" RUNS MAXPROCS=2 ALSO MAXPROCS=1 MAXPROCS=8 POLICY=segmented,SEGMENT=2048,MAXPROCS=2)
  stacktide_runtime_program(${name}_movable ${name}.cpp MOVABLE RUNS MAXPROCS=1 STRESS=move,MAXPROCS=8 ALSO MAXPROCS=2 MAXPROCS=8 STRESS=move,MAXPROCS=1)
endforeach()
stacktide_runtime_program(rt_solo rt_solo.cpp "" RUNS MAXPROCS=1 ALSO MAXPROCS=8 POLICY=segmented,SEGMENT=2048,MAXPROCS=1)
stacktide_runtime_program(rt_solo_movable rt_solo.cpp MOVABLE RUNS MAXPROCS=1 STRESS=move,MAXPROCS=1 ALSO MAXPROCS=2)
stacktide_runtime_program(rt_preempt_vectors rt_preempt_vectors.cpp MOVABLE RUNS MAXPROCS=1 ALSO MAXPROCS=2)
# A seed of its own for each run, printed first.
stacktide_runtime_program(rt_model rt_model.cpp "" RUNS MAXPROCS=1 MAXPROCS=8 ALSO MAXPROCS=2 POLICY=segmented,SEGMENT=2048,MAXPROCS=8)
stacktide_runtime_program(rt_model_movable rt_model.cpp MOVABLE RUNS MAXPROCS=2 STRESS=move,MAXPROCS=8 ALSO MAXPROCS=1 MAXPROCS=8 STRESS=move,MAXPROCS=1)
stacktide_runtime_program(rt_handover rt_handover.cpp MOVABLE RUNS MAXPROCS=2 MAXPROCS=8 ALSO MAXPROCS=1 STRESS=move,MAXPROCS=8)
stacktide_runtime_program(rt_timers rt_timers.cpp "" RUNS MAXPROCS=2 ALSO MAXPROCS=1 MAXPROCS=8)
# The same for longer.
foreach(run "rt_model_O2;1;2000" "rt_model_movable_O2;1;2000" "rt_handover_O2;500" "rt_timers_O2;1000000")
  list(POP_FRONT run program)
  foreach(procs 1 2 8)
    add_test(NAME runtime/${program}[long,MAXPROCS=${procs}] COMMAND ${program} ${run})
    set_tests_properties(runtime/${program}[long,MAXPROCS=${procs}] PROPERTIES LABELS slow TIMEOUT 600 ENVIRONMENT STACKTIDE_MAXPROCS=${procs})
  endforeach()
endforeach()
stacktide_runtime_program(rt_library rt_library.cpp "" RUNS MAXPROCS=2 ALSO MAXPROCS=1 MAXPROCS=8)

stacktide_runtime_program(rt_movable rt_movable.cpp MOVABLE RUNS MAXPROCS=2 ALSO MAXPROCS=1 MAXPROCS=8 POLICY=contiguous,MAXPROCS=2)
# Stress moves a whole stack at each call, so the stacks get less far.
foreach(level IN LISTS STACKTIDE_LEVELS STACKTIDE_MORE_LEVELS)
  set(label matrix)
  if(level IN_LIST STACKTIDE_LEVELS)
    set(label e2e)
  endif()
  add_test(NAME runtime/rt_movable_${level}[STRESS=move] COMMAND rt_movable_${level} 200 16384)
  set_tests_properties(runtime/rt_movable_${level}[STRESS=move] PROPERTIES TIMEOUT 300 ENVIRONMENT STACKTIDE_STRESS=move LABELS ${label})
endforeach()

# Movable code that calls a library that is not, and is called back by it.
stacktide_runtime_program(rt_mixed rt_mixed.cpp MOVABLE RUNS ${movable_runs} STRESS=move,FREED=unmap,MAXPROCS=8 ALSO ${pinned_more} STRESS=move,SEGMENT=2048,MAXPROCS=8)
foreach(level IN LISTS STACKTIDE_LEVELS STACKTIDE_MORE_LEVELS)
  add_library(rt_mixed_pinned_${level} STATIC rt_mixed_pinned.cpp)
  stacktide_level(rt_mixed_pinned_${level} ${level})
  stacktide_goroutines(rt_mixed_pinned_${level})
  target_link_libraries(rt_mixed_${level} PRIVATE rt_mixed_pinned_${level})
endforeach()

stacktide_runtime_program(rt_bases rt_bases.cpp "" RUNS MAXPROCS=2 ALSO ${pinned_more})
stacktide_runtime_program(rt_errno rt_errno.cpp MOVABLE RUNS MAXPROCS=8 ALSO ${movable_more})

# Goroutine code that passes arguments on the stack to code without stack checks.
stacktide_runtime_program(rt_arguments rt_arguments.cpp "" RUNS MAXPROCS=2 POLICY=segmented,SEGMENT=2048,MAXPROCS=2 ALSO ${pinned_more})
stacktide_runtime_program(rt_arguments_movable rt_arguments.cpp MOVABLE RUNS STRESS=move,MAXPROCS=2 ALSO ${movable_more})
foreach(level IN LISTS STACKTIDE_LEVELS STACKTIDE_MORE_LEVELS)
  add_library(rt_arguments_plain_${level} STATIC rt_arguments_plain.cpp)
  stacktide_level(rt_arguments_plain_${level} ${level})
  target_link_libraries(rt_arguments_plain_${level} PRIVATE stacktide_warnings)
  foreach(program rt_arguments rt_arguments_movable)
    target_link_libraries(${program}_${level} PRIVATE rt_arguments_plain_${level})
  endforeach()
endforeach()

# Goroutines that the monitor takes the P from, or asks to yield. The library is unchecked code.
add_library(rt_monitor_library STATIC rt_monitor_library.cpp)
stacktide_runtime_program(rt_monitor rt_monitor.cpp MOVABLE RUNS MAXPROCS=1 MAXPROCS=2 STRESS=move,MAXPROCS=8
                          ALSO MAXPROCS=8 POLICY=segmented,SEGMENT=2048,MAXPROCS=2 STRESS=move,MAXPROCS=1)
foreach(level IN LISTS STACKTIDE_LEVELS STACKTIDE_MORE_LEVELS)
  target_link_libraries(rt_monitor_${level} PRIVATE rt_monitor_library)
endforeach()

# The flags of distributions, before ours and, what may come last, after them.
set(distribution_flags -fcf-protection=full -fstack-clash-protection -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
add_library(rt_flags_library STATIC rt_flags_plain.cpp)
target_compile_options(rt_flags_library PRIVATE -O2 ${distribution_flags} -fcf-protection=none)
target_link_libraries(rt_flags_library PRIVATE stacktide_warnings)
foreach(kind plain movable)
  string(REPLACE "plain" "" movable ${kind})
  string(TOUPPER "${movable}" movable)
  stacktide_test_program(rt_flags_${kind} rt_flags.cpp)
  target_compile_options(rt_flags_${kind} PRIVATE -O2 ${distribution_flags})
  stacktide_goroutines(rt_flags_${kind} ${movable})
  target_compile_options(rt_flags_${kind} PRIVATE -fstack-clash-protection -fstack-protector-strong)
  target_link_libraries(rt_flags_${kind} PRIVATE stacktide_warnings rt_flags_library)
endforeach()
stacktide_program_run(rt_flags_plain e2e MAXPROCS=2)
stacktide_program_run(rt_flags_plain e2e POLICY=segmented SEGMENT=2048 MAXPROCS=2)
stacktide_program_run(rt_flags_movable e2e STRESS=move MAXPROCS=2)

# UndefinedBehaviorSanitizer is welcome in goroutine code.
stacktide_test_program(rt_ubsan rt_ubsan.cpp)
target_compile_options(rt_ubsan PRIVATE -O1 -fsanitize=undefined)
target_link_options(rt_ubsan PRIVATE -fsanitize=undefined)
stacktide_goroutines(rt_ubsan MOVABLE)
target_link_libraries(rt_ubsan PRIVATE stacktide_warnings)
stacktide_program_run(rt_ubsan e2e MAXPROCS=2)
set_tests_properties(runtime/rt_ubsan[MAXPROCS=2] PROPERTIES
  PASS_REGULAR_EXPRESSION "(signed integer overflow.*shift exponent 40 is too large|shift exponent 40 is too large.*signed integer overflow).*reports: right")

# What tests/e2e/runtime_*_test.cpp run and look into.
foreach(level O0 O2)
  stacktide_goroutine_program(rt_fatal ${level} rt_fatal.cpp)
  stacktide_goroutine_program(rt_misuse ${level} rt_misuse.cpp MOVABLE)
  stacktide_goroutine_program(rt_fatal_fault ${level} rt_fatal_fault.cpp)
  stacktide_goroutine_program(rt_fatal_moved ${level} rt_fatal_moved.cpp MOVABLE)
  stacktide_goroutine_program(rt_signal_quit ${level} rt_signal_quit.cpp)
endforeach()
foreach(level O0 O2)
  stacktide_goroutine_program(rt_frames_plain ${level} rt_frames.cpp)
  stacktide_goroutine_program(rt_frames_movable ${level} rt_frames.cpp MOVABLE)
  stacktide_goroutine_program(rt_syscall ${level} rt_syscall.cpp)
  stacktide_goroutine_program(rt_segments ${level} rt_segments.cpp)
  stacktide_goroutine_program(rt_waits ${level} rt_waits.cpp)
  stacktide_goroutine_program(rt_handles ${level} rt_handles.cpp)
  stacktide_goroutine_program(rt_stops ${level} rt_stops.cpp)
  stacktide_goroutine_program(rt_step_plain ${level} rt_step.cpp)
  stacktide_goroutine_program(rt_step_movable ${level} rt_step.cpp MOVABLE)
endforeach()

# Frames of every shape, with and without frame pointers (tests/e2e/stack_walks_test.cpp).
# drap: frames that align the stack find their arguments, and their CFA, by a register of their own.
foreach(level O0 O1 O2 O3)
  foreach(pointers fp nofp drap)
    string(REPLACE nofp -fomit-frame-pointer flag ${pointers})
    string(REPLACE fp -fno-omit-frame-pointer flag ${flag})
    string(REPLACE drap -mforce-drap flag ${flag})
    set(target rt_walks_${pointers}_${level})
    stacktide_test_program(${target} rt_walks.cpp)
    target_compile_options(${target} PRIVATE -${level} ${flag} -Wno-psabi)
    target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/runtime/src ${PROJECT_SOURCE_DIR}/runtime/abi)
    stacktide_goroutines(${target} MOVABLE)
    target_link_libraries(${target} PRIVATE stacktide_warnings)
  endforeach()
endforeach()
# A goroutine that waits below a function that pins its stack.
foreach(level O0 O2)
  stacktide_goroutine_program(rt_pins ${level} rt_pins.cpp MOVABLE)
endforeach()

# What stack maps must not take for certain. The library is unchecked code.
add_library(rt_certain_library STATIC rt_certain_library.cpp)
target_compile_options(rt_certain_library PRIVATE -g)
# Under POLICY=contiguous all is movable, and what the heap points back at goes wrong, as it says.
set(pinning_more ${movable_more})
list(FILTER pinning_more EXCLUDE REGEX contiguous)
stacktide_runtime_program(rt_certain rt_certain.cpp MOVABLE RUNS MAXPROCS=2 STRESS=move,MAXPROCS=2 ALSO ${pinning_more})
foreach(level IN LISTS STACKTIDE_LEVELS STACKTIDE_MORE_LEVELS)
  target_link_libraries(rt_certain_${level} PRIVATE rt_certain_library)
endforeach()
