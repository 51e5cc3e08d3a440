# stacktide_goroutines(<target> [MOVABLE])
#
# Makes an executable, static library or object library of this project goroutine code: compiled with stack checks, linked
# with the runtime and, for an executable, by stacktide-link. An executable that links goroutine libraries must be a goroutine
# target too, since the thunks are made when the program is linked.
#
# MOVABLE promises that the address of a local is stored nowhere but in its own goroutine's stack and registers; the stacks
# of such code grow by copying, all others by linking segments.
#
# UndefinedBehaviorSanitizer and the flags that distributions add (-fcf-protection -fstack-clash-protection -fstack-protector-strong
# -D_FORTIFY_SOURCE=2) may be used: of those that undo ours, the last one counts, and stacktide-link refuses an object where theirs was.
# AddressSanitizer, ThreadSanitizer, LTO and -pg are refused, again at the end of the calling directory, because options may be added
# after the call.

set(_STACKTIDE_LTO_REASON "link-time optimisation makes calls after stacktide-link has looked for them" CACHE INTERNAL "")

# Stops with the reason if `options`, a list or a command line, has one that goroutine code must not be compiled with.
function(_stacktide_refuse_options target where options)
  string(REPLACE ";" " " options " ${options} ")
  string(REGEX REPLACE "[<>:,]" " " words "${options}")  # generator expressions
  set(refusal "stacktide_goroutines(${target}): ${where} has")
  string(REGEX MATCHALL " -f(no-)?lto(=[^ ]*)?" lto "${words}")
  list(POP_BACK lto last_lto)
  if(last_lto MATCHES " -flto")  # the last one counts
    message(FATAL_ERROR "${refusal}${last_lto}: ${_STACKTIDE_LTO_REASON}")
  endif()
  if(options MATCHES "-fsanitize=[^ ]*address")
    message(FATAL_ERROR "${refusal} ${CMAKE_MATCH_0}: AddressSanitizer does not follow goroutine stacks and aborts at the first exception")
  endif()
  if(options MATCHES "-fsanitize=[^ ]*thread")
    message(FATAL_ERROR "${refusal} ${CMAKE_MATCH_0}: ThreadSanitizer does not follow goroutines from stack to stack")
  endif()
  if(words MATCHES " -fno-split-stack ")
    message(FATAL_ERROR "${refusal} -fno-split-stack: it leaves out the stack checks, without which goroutine code overruns its stack")
  endif()
  if(words MATCHES " -pg ")
    message(FATAL_ERROR "${refusal} -pg: its hooks are called before the stack check; use perf")
  endif()
endfunction()

function(_stacktide_check_options target)
  foreach(property INTERPROCEDURAL_OPTIMIZATION INTERPROCEDURAL_OPTIMIZATION_DEBUG INTERPROCEDURAL_OPTIMIZATION_RELEASE
                   INTERPROCEDURAL_OPTIMIZATION_RELWITHDEBINFO INTERPROCEDURAL_OPTIMIZATION_MINSIZEREL)
    get_target_property(value ${target} ${property})
    if(value)
      message(FATAL_ERROR "stacktide_goroutines(${target}): the target has ${property}: ${_STACKTIDE_LTO_REASON}; "
                          "set the property to OFF")
    endif()
  endforeach()
  foreach(language C CXX)
    string(TOUPPER "${CMAKE_BUILD_TYPE}" config)
    _stacktide_refuse_options(${target} "CMAKE_${language}_FLAGS" "${CMAKE_${language}_FLAGS} ${CMAKE_${language}_FLAGS_${config}}")
  endforeach()
  get_target_property(directory ${target} SOURCE_DIR)
  get_property(inherited DIRECTORY ${directory} PROPERTY COMPILE_OPTIONS)
  _stacktide_refuse_options(${target} "its directory" "${inherited}")
  get_target_property(options ${target} COMPILE_OPTIONS)
  # Ours are among them, and contain -fno-lto.
  string(REPLACE "-fno-lto" "" options "${options}")
  _stacktide_refuse_options(${target} "the target" "${options}")
endfunction()

function(_stacktide_check_platform target)
  if(NOT CMAKE_SYSTEM_NAME STREQUAL "Linux" OR NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64)$" OR NOT CMAKE_SIZEOF_VOID_P EQUAL 8)
    message(FATAL_ERROR "stacktide_goroutines(${target}): goroutine code is for 64-bit x86 Linux, not for ${CMAKE_SYSTEM_NAME} "
                        "on ${CMAKE_SYSTEM_PROCESSOR}")
  endif()
  foreach(language C CXX)
    if(NOT CMAKE_${language}_COMPILER_ID OR CMAKE_${language}_COMPILER_ID STREQUAL "GNU")
      continue()
    elseif(CMAKE_${language}_COMPILER_ID MATCHES "Clang")
      message(FATAL_ERROR "stacktide_goroutines(${target}): goroutine code needs GCC; Clang refuses functions with variable arguments "
                          "under -fsplit-stack (set CMAKE_${language}_COMPILER to a gcc or g++)")
    endif()
    message(FATAL_ERROR "stacktide_goroutines(${target}): goroutine code needs GCC, not ${CMAKE_${language}_COMPILER_ID}")
  endforeach()
  if(NOT CMAKE_GENERATOR MATCHES "Ninja|Makefiles")
    message(FATAL_ERROR "stacktide_goroutines(${target}): the generator ${CMAKE_GENERATOR} has no linker launcher; use Ninja or Unix Makefiles")
  endif()
endfunction()

function(stacktide_goroutines target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "MOVABLE" "" "")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "stacktide_goroutines(${target}): unknown argument ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT TARGET ${target})
    message(FATAL_ERROR "stacktide_goroutines(${target}): there is no such target")
  endif()
  get_target_property(type ${target} TYPE)
  if(type MATCHES "^(SHARED|MODULE)_LIBRARY$")
    message(FATAL_ERROR "stacktide_goroutines(${target}): goroutine code in a shared library is not supported; make it STATIC")
  elseif(NOT type MATCHES "^(EXECUTABLE|STATIC_LIBRARY|OBJECT_LIBRARY)$")
    message(FATAL_ERROR "stacktide_goroutines(${target}): a target of type ${type} has no code to compile")
  endif()
  get_target_property(already ${target} STACKTIDE_GOROUTINES)
  if(already)
    message(FATAL_ERROR "stacktide_goroutines(${target}): called twice for this target")
  endif()
  set_target_properties(${target} PROPERTIES STACKTIDE_GOROUTINES ON)
  _stacktide_check_platform(${target})
  _stacktide_check_options(${target})
  cmake_language(EVAL CODE "cmake_language(DEFER CALL _stacktide_check_options [[${target}]])")

  # Each of these cures a hazard; without it code is silently wrong. -g: the tools read it, and stack maps are made from it.
  set(flags -fsplit-stack -fstack-reuse=none -fno-lifetime-dse -fno-reorder-blocks-and-partition -maccumulate-outgoing-args
            -mindirect-branch=thunk-extern -mindirect-branch-register -fcf-protection=none -fno-lto -g)
  if(arg_MOVABLE)
    # ivopts keeps pointers outside their object, which a move would not find.
    list(APPEND flags -fno-ivopts "SHELL:-include stacktide/movable.h")
  endif()
  foreach(flag IN LISTS flags)
    target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:C,CXX>:${flag}>")
  endforeach()

  # By property, because a target that uses target_link_libraries without PRIVATE or PUBLIC must not be given one here.
  set_property(TARGET ${target} APPEND PROPERTY LINK_LIBRARIES stacktide::runtime)
  if(NOT type STREQUAL "EXECUTABLE")
    set_property(TARGET ${target} APPEND PROPERTY INTERFACE_LINK_LIBRARIES stacktide::runtime)
    return()
  endif()

  if(TARGET stacktide-link)
    get_target_property(folder stacktide-link RUNTIME_OUTPUT_DIRECTORY)
    set(launcher "${folder}/stacktide-link")
    add_dependencies(${target} stacktide-link)
  else()
    get_property(launcher GLOBAL PROPERTY STACKTIDE_LINK_EXECUTABLE)
  endif()
  foreach(language C CXX)
    set_property(TARGET ${target} APPEND PROPERTY ${language}_LINKER_LAUNCHER "${launcher}")
  endforeach()
  set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS "${launcher}")
endfunction()
