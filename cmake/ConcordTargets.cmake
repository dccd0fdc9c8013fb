# How Concord's targets are put together.
#
# common/, cpu/ and cuda/ each add their sources to one object library `concord_objects`; the shared
# and the static library are both made of it. Internal users (tests, micro-benchmarks) link
# `concord_internal`, which adds the private include directories; everyone else links
# Concord::concord or Concord::concord_static and sees the public headers only.

# Compile options every Concord source shares. Distances are defined by explicit fused operations
# (ARCHITECTURE.md, canonical arithmetic): the compiler may not add or remove one. What a parent project allows it, by
# -ffast-math, -Ofast or parts of them, is taken back here, since these options come after the parent's;
# base/exact_math.hpp refuses what comes later.
add_library(concord_options INTERFACE)
target_compile_features(concord_options INTERFACE cxx_std_20)
# CUB and Thrust in a namespace of their own (cuda/cccl.cuh), and nowhere else is it named.
target_compile_definitions(concord_options INTERFACE
  $<$<COMPILE_LANGUAGE:CUDA>:THRUST_CUB_WRAPPED_NAMESPACE=concord_cccl>
  $<$<COMPILE_LANGUAGE:CUDA>:NVTX_DISABLE>)  # ranges for profilers: weak symbols that others have, too
target_compile_options(concord_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wconversion -Wshadow
    -fno-finite-math-only -fno-associative-math -fno-reciprocal-math -fsigned-zeros -ffp-contract=off>
  # Of -Ofast, the last. clang takes -fno-fast-math for an overridden -ffp-contract, and warns.
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fno-fast-math -fno-unsafe-math-optimizations -fno-rounding-math
    -fno-allow-store-data-races>
  $<$<COMPILE_LANG_AND_ID:CXX,Clang>:-fdenormal-fp-math=ieee>
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-restrict>  # GCC 12: false alarms on std::string (bug 105329)
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<BOOL:${CONCORD_WERROR}>>:-Werror>)
if(CONCORD_SANITIZE)
  target_compile_options(concord_options INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${CONCORD_SANITIZE} -fno-omit-frame-pointer
      -fno-sanitize-recover=all>)
  target_link_options(concord_options INTERFACE -fsanitize=${CONCORD_SANITIZE})
endif()

find_package(Threads REQUIRED)

add_library(concord_objects OBJECT)
set_target_properties(concord_objects PROPERTIES POSITION_INDEPENDENT_CODE ON
  CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON CXX_EXTENSIONS OFF)
target_link_libraries(concord_objects PRIVATE concord_options Threads::Threads)
target_include_directories(concord_objects
  PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/common/include>
  PRIVATE ${PROJECT_SOURCE_DIR})

# Decides CONCORD_HAS_CUDA from CONCORD_CUDA and enables the language.
macro(concord_enable_cuda)
  set(CONCORD_HAS_CUDA OFF)
  if(NOT CONCORD_CUDA STREQUAL "OFF" AND EXISTS "${PROJECT_SOURCE_DIR}/cuda/CMakeLists.txt")
    include(CheckLanguage)
    check_language(CUDA)
    if(CMAKE_CUDA_COMPILER)
      if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
        set(CMAKE_CUDA_ARCHITECTURES 80-real 86-real 89-real 90-real 100-real 120)
      endif()
      enable_language(CUDA)
      # The target is older than the language, and took its default from no architectures.
      set_property(TARGET concord_objects PROPERTY CUDA_ARCHITECTURES ${CMAKE_CUDA_ARCHITECTURES})
      set(CONCORD_HAS_CUDA ON)
    elseif(CONCORD_CUDA STREQUAL "ON")
      message(FATAL_ERROR "CONCORD_CUDA=ON, but no CUDA compiler (nvcc) was found; "
        "set CMAKE_CUDA_COMPILER, or use CONCORD_CUDA=AUTO or OFF")
    endif()
  endif()
  message(STATUS "Concord: CUDA ${CONCORD_HAS_CUDA}")
endmacro()

# The libraries people link, their installation and the CMake and pkg-config packages.
function(concord_add_libraries)
  add_library(concord SHARED $<TARGET_OBJECTS:concord_objects>)
  set_target_properties(concord PROPERTIES VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
  add_library(concord_static STATIC $<TARGET_OBJECTS:concord_objects>)
  target_compile_definitions(concord_static INTERFACE CONCORD_STATIC)
  foreach(library concord concord_static)
    add_library(Concord::${library} ALIAS ${library})
    target_compile_features(${library} PUBLIC cxx_std_20)
    target_link_libraries(${library} PUBLIC Threads::Threads)
    if(CONCORD_HAS_CUDA)
      target_link_libraries(${library} PRIVATE $<BUILD_INTERFACE:CUDA::cudart_static>)
    endif()
    if(CONCORD_SANITIZE)
      target_link_options(${library} PUBLIC -fsanitize=${CONCORD_SANITIZE})
    endif()
    target_include_directories(${library} PUBLIC
      $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/common/include>
      $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  endforeach()

  # For tests and micro-benchmarks: the same code, with everything visible.
  add_library(concord_internal INTERFACE)
  target_link_libraries(concord_internal INTERFACE concord_static concord_options)
  target_include_directories(concord_internal INTERFACE ${PROJECT_SOURCE_DIR})
endfunction()
