// xxHash (https://github.com/Cyan4973/xxHash) compiled into this library, so that it links nothing.
#pragma once

#define XXH_INLINE_ALL
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#include <xxhash.h>
#pragma GCC diagnostic pop
