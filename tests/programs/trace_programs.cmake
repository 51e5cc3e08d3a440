# What live traces are tried on.
stacktide_goroutine_program(trace_load O2 trace_load.cpp MOVABLE)
# Two moments of it are compared by `stacktide diff`.
stacktide_goroutine_program(moments O2 moments.cpp MOVABLE)
