// The version of these headers, for the preprocessor of C and C++. A library of another version
// than the headers that a program was compiled with says so by concord_version() of
// <concord/concord.h>. Macros alone.
#pragma once

#define CONCORD_VERSION_MAJOR 0
#define CONCORD_VERSION_MINOR 2
#define CONCORD_VERSION_PATCH 0
/// One number that grows with the version: 10,000 · major + 100 · minor + patch.
#define CONCORD_VERSION \
  (CONCORD_VERSION_MAJOR * 10000 + CONCORD_VERSION_MINOR * 100 + CONCORD_VERSION_PATCH)
