# Waits for file descriptors (rt_net.cpp), also under ThreadSanitizer.
stacktide_runtime_program(rt_net rt_net.cpp "" RUNS MAXPROCS=1 MAXPROCS=8 ALSO MAXPROCS=2 POLICY=segmented,SEGMENT=2048,MAXPROCS=2)
stacktide_runtime_program(rt_net_movable rt_net.cpp MOVABLE RUNS MAXPROCS=2 STRESS=move,MAXPROCS=8 MAXPROCS=8,TRACE=rt_net.stt
                          ALSO MAXPROCS=1 MAXPROCS=8 STRESS=move,MAXPROCS=1)
stacktide_tsan_program(rt_net rt_net.cpp)
# How such waits fail (rt_net_errors.cpp).
stacktide_runtime_program(rt_net_errors rt_net_errors.cpp "" RUNS MAXPROCS=1 ALSO POLICY=segmented,SEGMENT=2048,MAXPROCS=1)
