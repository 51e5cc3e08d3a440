# What live traces are tried on.
stacktide_goroutine_program(trace_load O2 trace_load.cpp MOVABLE)
