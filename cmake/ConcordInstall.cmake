# What `cmake --install` lays down: both libraries, the public headers, a CMake package (Concord) with
# the targets Concord::concord and Concord::concord_static, a pkg-config file and the licence.
#
# Included by the top-level CMakeLists.txt after concord_add_libraries(). tests/install checks it.

include(CMakePackageConfigHelpers)

set_target_properties(concord_static PROPERTIES OUTPUT_NAME concord)
target_link_options(concord PRIVATE
  "LINKER:--version-script=${CMAKE_CURRENT_LIST_DIR}/concord.map")
# Clang leaves the runtime of a sanitizer to the executable.
if(NOT CONCORD_SANITIZE)
  target_link_options(concord PRIVATE LINKER:--no-undefined)
endif()
set_property(TARGET concord APPEND PROPERTY LINK_DEPENDS "${CMAKE_CURRENT_LIST_DIR}/concord.map")

set(concord_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/Concord")
set(concord_static_needs_cuda OFF)
if(CONCORD_HAS_CUDA)
  # The shared library holds the CUDA runtime; users of the static one link it themselves.
  set(concord_static_needs_cuda ON)
  target_link_libraries(concord_static INTERFACE $<INSTALL_INTERFACE:CUDA::cudart_static>)
endif()

install(TARGETS concord EXPORT ConcordSharedTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS concord_static EXPORT ConcordStaticTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY "${PROJECT_SOURCE_DIR}/common/include/concord" TYPE INCLUDE
  FILES_MATCHING PATTERN "*.hpp" PATTERN "*.h")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" TYPE DOC)
foreach(kind Shared Static)
  install(EXPORT Concord${kind}Targets NAMESPACE Concord:: DESTINATION ${concord_package_dir})
endforeach()

configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/ConcordConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/package/ConcordConfig.cmake" INSTALL_DESTINATION ${concord_package_dir})
write_basic_package_version_file("${PROJECT_BINARY_DIR}/package/ConcordConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/package/ConcordConfig.cmake"
  "${PROJECT_BINARY_DIR}/package/ConcordConfigVersion.cmake" DESTINATION ${concord_package_dir})

# Paths in the .pc file follow the file, so that an installation may be moved; absolute directories
# stand as they are.
foreach(dir LIBDIR INCLUDEDIR)
  if(IS_ABSOLUTE "${CMAKE_INSTALL_${dir}}")
    set(concord_pc_${dir} "${CMAKE_INSTALL_${dir}}")
  else()
    set(concord_pc_${dir} "\${prefix}/${CMAKE_INSTALL_${dir}}")
  endif()
endforeach()
file(RELATIVE_PATH concord_pc_up "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
string(REGEX REPLACE "/$" "" concord_pc_up "${concord_pc_up}")
configure_file("${CMAKE_CURRENT_LIST_DIR}/concord.pc.in" "${PROJECT_BINARY_DIR}/package/concord.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/package/concord.pc" DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
