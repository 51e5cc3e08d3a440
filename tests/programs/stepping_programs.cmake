# What tests/e2e/*_step_test.cpp step through: with stacks that move, and with stacks that are linked.
foreach(level O0 O2)
  stacktide_goroutine_program(rt_stepping ${level} rt_stepping.cpp MOVABLE)
  stacktide_goroutine_program(rt_stepping_linked ${level} rt_stepping.cpp)
  stacktide_program_run(rt_stepping_${level} e2e MAXPROCS=2)
endforeach()
# What tests/e2e/contexts_test.cpp selects goroutines of.
foreach(level O0 O2)
  stacktide_goroutine_program(rt_contexts ${level} rt_contexts.cpp MOVABLE)
endforeach()
