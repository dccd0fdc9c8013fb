# Runs one test of concord_c_tests in a folder that is empty: PROGRAM, TEST, FOLDER.
file(REMOVE_RECURSE "${FOLDER}")
file(MAKE_DIRECTORY "${FOLDER}")
execute_process(COMMAND "${PROGRAM}" "${TEST}" "${FOLDER}" RESULT_VARIABLE result)
file(REMOVE_RECURSE "${FOLDER}")
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${TEST}: ${result}")
endif()
