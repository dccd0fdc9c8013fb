// Which sanitizer the tests are compiled with, for those that it takes memory, addresses or threads
// from: GCC and clang say it in different words. CONCORD_UNDER_ASAN and CONCORD_UNDER_TSAN are
// defined or not.
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define CONCORD_UNDER_ASAN
#elif defined(__SANITIZE_THREAD__)
#define CONCORD_UNDER_TSAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CONCORD_UNDER_ASAN
#elif __has_feature(thread_sanitizer)
#define CONCORD_UNDER_TSAN
#endif
#endif
