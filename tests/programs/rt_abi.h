// The part of rt_abi that is C: functions inside functions, which find their outer frame by a static chain (r10, which a check wants for itself).
#pragma once

#ifdef __cplusplus
extern "C"
#endif
    // The sum of 1 to n, and 7 for each of them.
    long
    nested_functions(long n);
