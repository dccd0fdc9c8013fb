#!/usr/bin/env bash
# Sums up JUnit reports of ctest and pytest as "N passed, N failed, N skipped". A report that is missing, or that
# counts no test, is one failure.
#
#   count_results.sh REPORT.xml ...
set -euo pipefail

passed=0 failed=0 skipped=0
for report in "$@"; do
  suite=$(tr '\n\t' '  ' <"$report" 2>/dev/null | grep -o '<testsuite [^>]*>' | head -n 1 || true)
  number() {  # 0 where the report has none
    local value
    value=$(sed -n "s/.* $1=\"\([0-9]*\)\".*/\1/p" <<<"$suite")
    echo "${value:-0}"
  }
  tests=$(number tests)
  if [ "$tests" -eq 0 ]; then
    failed=$((failed + 1))
    continue
  fi
  failures=$(($(number failures) + $(number errors)))
  not_run=$(($(number skipped) + $(number disabled)))
  passed=$((passed + tests - failures - not_run))
  failed=$((failed + failures))
  skipped=$((skipped + not_run))
done
echo "$passed passed, $failed failed, $skipped skipped"
