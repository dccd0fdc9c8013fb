// Symbol visibility: the library exports the public API and nothing else. And what a program must
// have in common with the library, which is checked when it is compiled or linked.
#pragma once

#if __cplusplus < 202002L
#error "Concord needs C++20: compile with -std=c++20 or newer"
#endif

#include <concord/version.h>

#include <cstddef>  // defines the macros of the standard library

#if defined(CONCORD_STATIC)
#define CONCORD_API
#else
#define CONCORD_API __attribute__((visibility("default")))
#endif

// Where these macros differ, std::vector or std::string has another layout in the program than in
// the library. Then the linker reports the name below as missing.
#if defined(_GLIBCXX_DEBUG)
#define CONCORD_COMPILED program_has_GLIBCXX_DEBUG_and_Concord_was_compiled_without_it
#elif defined(_GLIBCXX_USE_CXX11_ABI) && !_GLIBCXX_USE_CXX11_ABI
#define CONCORD_COMPILED program_has_GLIBCXX_USE_CXX11_ABI_0_and_Concord_was_compiled_with_1
#else
#define CONCORD_COMPILED program_lacks_GLIBCXX_DEBUG_or_the_old_ABI_that_Concord_was_compiled_with
#endif

namespace concord::abi {

extern CONCORD_API const char CONCORD_COMPILED;
[[gnu::used]] static const char* const kNeeded = &CONCORD_COMPILED;

}  // namespace concord::abi
