// stacktide-link: which arguments may lie on the stack, by name alone. A wrong "narrow" loses arguments, so it is the one to
// fear.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include "signature.h"

using stacktide::link::Arguments;
using stacktide::link::arguments_of;

TEST_CASE("well known C functions with register arguments are narrow") {
  for (const char* name : {"malloc", "free", "memcpy", "strlen", "abort", "__cxa_throw", "_Unwind_Resume",
                           "__stack_chk_fail", "pthread_mutex_lock", "write", "mmap"}) {
    CAPTURE(name);
    CHECK(arguments_of(name) == Arguments::narrow);
  }
}

TEST_CASE("unknown and variadic C functions are wide") {
  for (const char* name : {"printf", "snprintf", "open", "fcntl", "my_c_function", "", "_Z", "_Zgarbage"}) {
    CAPTURE(name);
    CHECK(arguments_of(name) == Arguments::wide);
  }
}

TEST_CASE("C++ functions of scalars, pointers and references are narrow while registers last") {
  CHECK(arguments_of("_Znwm") == Arguments::narrow);  // operator new(unsigned long)
  CHECK(arguments_of("_ZdlPvmSt11align_val_t") ==
        Arguments::narrow);  // operator delete(void*, unsigned long, std::align_val_t)
  CHECK(arguments_of("_ZNSo9_M_insertIdEERSoT_") == Arguments::narrow);  // std::ostream::_M_insert<double>(double)
  CHECK(arguments_of("_Z1fv") == Arguments::narrow);
  CHECK(arguments_of("_Z1fiiii") == Arguments::narrow);
  CHECK(arguments_of("_Z1fdddddddd") == Arguments::narrow);
  CHECK(arguments_of("_Z1fPFicE") == Arguments::narrow);      // f(int (*)(char))
  CHECK(arguments_of("_ZN1XclEi") == Arguments::narrow);      // X::operator()(int)
  CHECK(arguments_of("_ZNK1X1gERKSs") == Arguments::narrow);  // X::g(std::string const&) const
  CHECK(arguments_of("_Z1fSt17basic_string_viewIcSt11char_traitsIcEE") == Arguments::narrow);
}

TEST_CASE("a fifth integer could meet this and a hidden result pointer on the stack, so it is wide") {
  CHECK(arguments_of("_Z1fiiiii") == Arguments::wide);
  CHECK(arguments_of("_Z1fddddddddd") == Arguments::wide);
}

TEST_CASE("what is passed in memory or of unknown class is wide") {
  CHECK(arguments_of("_Z1fe") == Arguments::wide);                  // long double
  CHECK(arguments_of("_Z1fn") == Arguments::wide);                  // __int128
  CHECK(arguments_of("_Z1f3Big") == Arguments::wide);               // a class by value
  CHECK(arguments_of("_Z1fiz") == Arguments::wide);                 // f(int, ...)
  CHECK(arguments_of("_Z1fM1XFvcE") == Arguments::wide);            // f(void (X::*)(char)): two words
  CHECK(arguments_of("_Z1f3BoxIPFicEE") == Arguments::wide);        // f(Box<int (*)(char)>)
  CHECK(arguments_of("_Z1fSt8functionIFvcEE") == Arguments::wide);  // f(std::function<void (char)>)
  CHECK(arguments_of("_Z1fIiEPFvcET_") == Arguments::wide);         // void (*f<int>(int))(char): the wrong list comes last
  CHECK(arguments_of("_Z1fSt7complexIdE") == Arguments::wide);
}

TEST_CASE("access functions of thread_local variables are narrow") {
  CHECK(arguments_of("_ZTW5value") == Arguments::narrow);
  CHECK(arguments_of("_ZTH5value") == Arguments::narrow);
}
