// The symbol that tells programs how the library was compiled.

#include <concord/export.hpp>

const char concord::abi::CONCORD_COMPILED = 0;
