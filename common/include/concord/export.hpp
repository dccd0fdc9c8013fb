// Symbol visibility of the public API. Everything else in the library is hidden.
#pragma once

#if defined(CONCORD_STATIC)
#define CONCORD_API
#else
#define CONCORD_API __attribute__((visibility("default")))
#endif
