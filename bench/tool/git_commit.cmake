# Writes OUTPUT, a header with the commit of SOURCE_DIR, at build time; leaves it alone if unchanged.
# Where there is no repository (an image's sources), CONCORD_COMMIT of the environment tells it.
execute_process(COMMAND git -C "${SOURCE_DIR}" rev-parse --short=12 HEAD
  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed AND NOT "$ENV{CONCORD_COMMIT}" STREQUAL "")
  set(commit "$ENV{CONCORD_COMMIT}")
elseif(failed)
  set(commit unknown)
else()
  execute_process(COMMAND git -C "${SOURCE_DIR}" status --porcelain --untracked-files=no
    OUTPUT_VARIABLE changes ERROR_QUIET)
  if(changes)
    string(APPEND commit "+changes")
  endif()
endif()
set(text "#define CONCORD_BENCH_COMMIT \"${commit}\"\n")
set(old "")
if(EXISTS "${OUTPUT}")
  file(READ "${OUTPUT}" old)
endif()
if(NOT text STREQUAL old)
  file(WRITE "${OUTPUT}" "${text}")
endif()
