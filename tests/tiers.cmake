# The tiers of the tests of CTest; each has one label:
#
#   unit  quick and by themselves: all of them together take under ten seconds. tests/limited ends one that writes bytes into a file
#         or takes more than two seconds of CPU.
#   disk  files, fsync, RocksDB
#   sim   simulations, replays of corpora, random models, long comparisons
#
# The tests with servers (tests/run.mjs) are the fourth tier, e2e.

# tests/unit/NAME.c that are of another tier than unit; what does not write files and is quick needs no line.
set(tier_disk "^(store_.*|backup_.*|deliver_trim|transfer_(files|import)|worker_(columns|commit|job_calls|jobs|messages|resume|rollouts|serve|shifts|sweep|tours|walk|watches)\
|http_(bodies|routes)|log_thread|mesh_pair|peers_.*|net_(certs|https|tls)|os_files|sink_(file|hook|kafka)|server_(admin|catalogue|cgroup|certs|data|options|policies)|ws_stream)$")
set(tier_sim "^(config_outcome|doc_random|query_(columns|missing|random)|twin_model)$")

# What a test of tier unit is run with. What is not optimised or has a sanitizer in it is slower, and ThreadSanitizer writes files itself.
set(tier_unit_limits ${CMAKE_SOURCE_DIR}/tests/limited 2)
if(NOT TWINHUB_SANITIZE STREQUAL "" OR NOT CMAKE_BUILD_TYPE MATCHES "Rel")
	set(tier_unit_limits)
endif()

# tier_test(NAME TIER seconds command...): a test; seconds of any clock end what hangs.
function(tier_test name tier seconds)
	if(tier STREQUAL "unit")
		add_test(NAME ${name} COMMAND ${tier_unit_limits} ${ARGN})
	elseif(tier MATCHES "^(disk|sim)$")
		add_test(NAME ${name} COMMAND ${ARGN})
	else()
		message(FATAL_ERROR "${name}: there is no tier ${tier}")
	endif()
	set_tests_properties(${name} PROPERTIES LABELS ${tier} TIMEOUT ${seconds})
	set_property(GLOBAL APPEND PROPERTY tier_tests ${name})
endfunction()

# The tier of tests/unit/${test}.c.
function(tier_of test tier)
	set(${tier} unit PARENT_SCOPE)
	if(test MATCHES "${tier_disk}")
		set(${tier} disk PARENT_SCOPE)
	elseif(test MATCHES "${tier_sim}")
		set(${tier} sim PARENT_SCOPE)
	endif()
endfunction()

# No test without a tier: all of them, in this directory and below, are made by tier_test.
function(tiers_check directory)
	get_property(with_tier GLOBAL PROPERTY tier_tests)
	get_property(tests DIRECTORY ${directory} PROPERTY TESTS)
	foreach(test ${tests})
		if(NOT test IN_LIST with_tier)
			message(FATAL_ERROR "the test ${test} has no tier: make it with tier_test (tests/tiers.cmake)")
		endif()
	endforeach()
	get_property(below DIRECTORY ${directory} PROPERTY SUBDIRECTORIES)
	foreach(one ${below})
		tiers_check(${one})
	endforeach()
endfunction()
