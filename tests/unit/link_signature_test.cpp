// stacktide-link: which arguments may lie on the stack, by name alone. Too few bytes lose arguments, so that is the error to
// fear.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include "signature.h"

using stacktide::link::argument_bytes;
using stacktide::link::kMostArguments;

TEST_CASE("well known C functions with register arguments pass nothing on the stack") {
  for (const char* name : {"malloc", "free", "memcpy", "strlen", "abort", "__cxa_throw", "_Unwind_Resume",
                           "__stack_chk_fail", "pthread_mutex_lock", "write", "mmap"}) {
    CAPTURE(name);
    CHECK(argument_bytes(name) == 0u);
  }
}

TEST_CASE("of unknown C functions the callers' frames decide alone") {
  for (const char* name : {"my_c_function", "", "_Z", "_Zgarbage"}) {
    CAPTURE(name);
    CHECK(argument_bytes(name) == std::nullopt);
  }
}

TEST_CASE("C++ functions of scalars, pointers and references pass nothing on the stack while registers last") {
  CHECK(argument_bytes("_Znwm") == 0u);                     // operator new(unsigned long)
  CHECK(argument_bytes("_ZdlPvmSt11align_val_t") == 0u);    // operator delete(void*, unsigned long, std::align_val_t)
  CHECK(argument_bytes("_ZNSo9_M_insertIdEERSoT_") == 0u);  // std::ostream::_M_insert<double>(double)
  CHECK(argument_bytes("_Z1fv") == 0u);
  CHECK(argument_bytes("_Z1fiiii") == 0u);
  CHECK(argument_bytes("_Z1fdddddddd") == 0u);
  CHECK(argument_bytes("_Z1fPFicE") == 0u);      // f(int (*)(char))
  CHECK(argument_bytes("_ZN1XclEi") == 0u);      // X::operator()(int)
  CHECK(argument_bytes("_ZNK1X1gERKSs") == 0u);  // X::g(std::string const&) const
  CHECK(argument_bytes("_Z1fSt17basic_string_viewIcSt11char_traitsIcEE") == 0u);
}

TEST_CASE("a fifth integer could meet this and a hidden result pointer on the stack") {
  CHECK(argument_bytes("_Z1fiiiii") == 7u * 16);
  CHECK(argument_bytes("_Z1fddddddddd") == 11u * 16);
  CHECK(argument_bytes("_Z1fe") == 3u * 16);    // long double, in memory always
  CHECK(argument_bytes("_Z1fnnn") == 5u * 16);  // __int128
}

TEST_CASE("the size of a class by value and of an enumeration is not in the name") {
  CHECK(argument_bytes("_Z1f3Big") == std::nullopt);               // a class by value
  CHECK(argument_bytes("_Z1fiz") == std::nullopt);                 // f(int, ...)
  CHECK(argument_bytes("_Z1fM1XFvcE") == std::nullopt);            // f(void (X::*)(char)): two words
  CHECK(argument_bytes("_Z1f3BoxIPFicEE") == std::nullopt);        // f(Box<int (*)(char)>)
  CHECK(argument_bytes("_Z1fSt8functionIFvcEE") == std::nullopt);  // f(std::function<void (char)>)
  CHECK(argument_bytes("_Z1fIiEPFvcET_") == std::nullopt);         // void (*f<int>(int))(char): the wrong list comes last
  CHECK(argument_bytes("_Z1fSt7complexIdE") == std::nullopt);
}

TEST_CASE("access functions of thread_local variables have no arguments") {
  CHECK(argument_bytes("_ZTW5value") == 0u);
  CHECK(argument_bytes("_ZTH5value") == 0u);
}

TEST_CASE("variadic C functions of scalars take 127 of the largest") {
  for (const char* name : {"printf", "snprintf", "__snprintf_chk", "open", "fcntl"}) {
    CAPTURE(name);
    CHECK(argument_bytes(name) == 127u * 16);
  }
}

TEST_CASE(
    "the smaller of what the name says and what the callers' frames hold is copied, within what a system stack bears") {
  CHECK(argument_bytes("_Znwm", 8000) == 0);
  CHECK(argument_bytes("_Z1f3Big", 8009) == 8016);
  CHECK(argument_bytes("printf", 100) == 104);
  CHECK(argument_bytes("printf", 100'000) == 2032);
  CHECK(argument_bytes("my_c_function", 0xffffffff) == kMostArguments);
  CHECK(argument_bytes("_Z1f3Big", 0) == 0);
}
