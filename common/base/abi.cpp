// The symbol that tells programs how the library was compiled, and that its version is that of the
// headers.

#include <concord/export.hpp>

const char concord::abi::CONCORD_COMPILED = 0;

static_assert(CONCORD_PROJECT_MAJOR == CONCORD_VERSION_MAJOR &&
                  CONCORD_PROJECT_MINOR == CONCORD_VERSION_MINOR &&
                  CONCORD_PROJECT_PATCH == CONCORD_VERSION_PATCH,
              "concord/version.h has another version than CMakeLists.txt");
