# The CMake package: find_package(stacktide) in an installed tree. Included by the top CMakeLists after the runtime.
# Component `development` is all that a program's build needs, and its CI: runtime, headers, launcher, package, and the `stacktide` program.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/stacktide)
set(STACKTIDE_LINK_PATH ${CMAKE_INSTALL_BINDIR}/stacktide-link)
configure_package_config_file(
  ${CMAKE_CURRENT_LIST_DIR}/stacktide-config.cmake.in ${CMAKE_BINARY_DIR}/cmake/stacktide-config.cmake
  INSTALL_DESTINATION ${package_dir}
  PATH_VARS STACKTIDE_LINK_PATH)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/cmake/stacktide-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/cmake/stacktide-config.cmake ${CMAKE_BINARY_DIR}/cmake/stacktide-config-version.cmake
              ${CMAKE_CURRENT_LIST_DIR}/stacktide_goroutines.cmake ${CMAKE_CURRENT_LIST_DIR}/stacktide_check_test.cmake
        DESTINATION ${package_dir} COMPONENT development)
install(TARGETS stacktide_runtime EXPORT stacktide_targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
install(TARGETS stacktide-link stacktide-maps RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT development)
install(EXPORT stacktide_targets NAMESPACE stacktide:: FILE stacktide-targets.cmake DESTINATION ${package_dir} COMPONENT development)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/runtime/include/stacktide ${PROJECT_SOURCE_DIR}/runtime/abi/stacktide
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development FILES_MATCHING PATTERN "*.h")
