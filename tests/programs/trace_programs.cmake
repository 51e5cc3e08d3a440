# What live traces are tried on.
stacktide_goroutine_program(trace_load O2 trace_load.cpp MOVABLE)
# Two moments of it are compared by `stacktide diff`.
stacktide_goroutine_program(moments O2 moments.cpp MOVABLE)
# What recordings are tried on.
stacktide_goroutine_program(record_load O2 record_load.cpp MOVABLE)
