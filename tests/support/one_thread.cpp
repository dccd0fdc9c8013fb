// Linked into the tests that are left out with ThreadSanitizer because they run in one thread:
// shows it, since a test that starts another ends here.
#include <pthread.h>

#include <cstdio>
#include <cstdlib>

// In the place of the C library's, which std::thread calls.
extern "C" int pthread_create(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*) noexcept {
  std::fputs("a test that is said to run in one thread starts another (tests/CMakeLists.txt)\n",
             stderr);
  std::abort();
}
