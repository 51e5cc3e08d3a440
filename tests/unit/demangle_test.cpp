// Names as text: demangling, what counts as the function's name, and the form in which three tools' spellings are equal.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <string>

#include "symbols/names.h"
#include "symbols/symbolizer.h"

using stacktide::demangle;
using stacktide::plain_name;
using stacktide::without_signature;

TEST_CASE("a linkage name becomes a C++ name, and any other text stays itself") {
  CHECK(demangle("_Z6workeri") == "worker(int)");
  CHECK(demangle("_ZN9stacktide7channelIiE4recvEv") == "stacktide::channel<int>::recv()");
  CHECK(demangle("main") == "main");
  CHECK(demangle("__morestack") == "__morestack");
  CHECK(demangle("") == "");
  CHECK(demangle("_Z") == "_Z");
  CHECK(demangle("_Zgarbage") == "_Zgarbage");
  CHECK(demangle("i") == "i");  // not the type int
}

TEST_CASE("return type, parameters and qualifiers do not belong to the name") {
  CHECK(without_signature("worker(int)") == "worker");
  CHECK(without_signature("worker") == "worker");
  CHECK(without_signature("a::b<int>::c(int, char const*) const") == "a::b<int>::c");
  CHECK(without_signature("int a::send<double>(double, int (*)(int))") == "a::send<double>");
  CHECK(without_signature("unsigned long a::size() const &") == "a::size");
  CHECK(without_signature("decltype (f(k)) call<int>(int)") == "call<int>");
  CHECK(without_signature("void (anonymous namespace)::f<int>(int)") == "(anonymous namespace)::f<int>");
  CHECK(without_signature("std::vector<int, std::allocator<int> > make<3u>()") == "make<3u>");
  CHECK(without_signature("foo(int) [clone .cold]") == "foo");
  CHECK(without_signature("foo[abi:cxx11](int)") == "foo[abi:cxx11]");
  CHECK(without_signature("a::~a()") == "a::~a");
  CHECK(without_signature("run(long)::{lambda(int)#1}::operator()(int) const") == "run(long)::{lambda(int)#1}::operator()");
}

TEST_CASE("operators keep their symbols") {
  CHECK(without_signature("a::operator()(int)") == "a::operator()");
  CHECK(without_signature("a::operator<(a const&) const") == "a::operator<");
  CHECK(without_signature("a::operator<<(int)") == "a::operator<<");
  CHECK(without_signature("a::operator<=>(a const&) const") == "a::operator<=>");
  CHECK(without_signature("std::ostream& operator<< <char>(std::ostream&, char)") == "operator<<<char>");
  CHECK(without_signature("a::operator->() const") == "a::operator->");
  CHECK(without_signature("a::operator bool() const") == "a::operator bool");
  CHECK(without_signature("a::operator std::vector<int, b>() const") == "a::operator std::vector<int, b>");
  CHECK(without_signature("operator new(unsigned long)") == "operator new");
  CHECK(without_signature("operator delete[](void*)") == "operator delete[]");
  CHECK(without_signature("operator\"\" _km(unsigned long long)") == "operator\"\" _km");
}

TEST_CASE("what is no name comes back unchanged") {
  for (const char* text : {"", "(", ")", "<", "a<b", "a(b", "a::", "{", "operator(", "(* f(int))(char)", "a(b)c"}) {
    CAPTURE(std::string(text));
    CHECK(without_signature(text) == text);
  }
  std::string deep(100'000, '<');
  CHECK(without_signature(deep) == deep);
  CHECK(plain_name(deep) == deep);
  std::string nested = "f";
  for (int i = 0; i < 5000; ++i) nested += "<a";
  nested += std::string(5000, '>');
  CHECK(plain_name(nested).starts_with("f<a<a<a"));
}

TEST_CASE("GDB's, LLDB's and core's names of one function have one plain form") {
  // A member function template: GDB, LLDB (return type, parameters), core.
  for (const char* name : {"app::channel<int>::send<double>", "int app::channel<int>::send<double>(double)"}) {
    CAPTURE(std::string(name));
    CHECK(plain_name(name) == "app::channel<int>::send<double>");
  }
  // A lambda: c++filt and GDB, LLVM, GCC's DW_AT_name, a debugger that knows no enclosing function, Clang's.
  for (const char* name :
       {"app::Derived::run(long)::{lambda(int)#1}::operator()(int) const",
        "app::Derived::run(long)::'lambda'(int)::operator()(int) const", "main::<lambda(int)>::operator()",
        "main::{lambda}::operator()", "operator()", "main::$_0::operator()(int) const"}) {
    CAPTURE(std::string(name));
    CHECK(plain_name(name) == "operator()");
  }
  // A lambda as a template argument.
  for (const char* name :
       {"int app::call<app::Derived::run(long)::'lambda'(int)>(app::Derived::run(long)::'lambda'(int), int)",
        "int app::call<app::Derived::run(long)::{lambda(int)#1}>(app::Derived::run(long)::{lambda(int)#1}, int)",
        "app::call<app::Derived::run(long)::{lambda(int)#1}>"}) {
    CAPTURE(std::string(name));
    CHECK(plain_name(name) == "app::call<{lambda}>");
  }
  // Function types and closing brackets are spaced in different ways.
  for (const char* name :
       {"std::_Function_handler<int(Base*), main(int, char**)::<lambda(Base*)> >::_M_invoke",
        "std::_Function_handler<int (Base*), main::'lambda'(Base*)>::_M_invoke(std::_Any_data const&, Base*&&)"}) {
    CAPTURE(std::string(name));
    CHECK(plain_name(name) == "std::_Function_handler<int(Base*),{lambda}>::_M_invoke");
  }
  CHECK(plain_name("f[abi:cxx11](int)") == "f");
  CHECK(plain_name("(anonymous namespace)::f(int)") == "(anonymous namespace)::f");
  CHECK(plain_name("main") == "main");
}
